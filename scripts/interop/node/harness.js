// Runs named checks, counts them, and makes their data from one printed seed.
'use strict'

const assert = require('node:assert/strict')
const { randomInt } = require('node:crypto')

const BOOTSTRAP = process.env.BOOTSTRAP || '127.0.0.1:9092'
const DEADLINE_MS = 60_000

// mulberry32: a small generator with a seed, which Node does not offer.
const generator = seed => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return (t ^ (t >>> 14)) >>> 0
}

class Run {
  constructor(client) {
    this.client = client
    this.seed = process.env.SEED ? Number(process.env.SEED) : randomInt(2 ** 32)
    this.only = process.env.ONLY || ''
    this.next = generator(this.seed)
    this.tag = `${client}-${this.seed}-${Date.now() % 100_000_000}`
    this.passed = 0
    this.failed = 0
    console.log(`client ${client}, broker ${BOOTSTRAP}, SEED=${this.seed}`)
  }

  topic(name) {
    return `${this.tag}-${name}`
  }

  below(bound) {
    return this.next() % bound
  }

  bytes(count) {
    const bytes = Buffer.alloc(count)
    for (let i = 0; i < count; i++) bytes[i] = this.next()
    return bytes
  }

  // Records spread over the partitions, one second apart and an hour old.
  records(count, partitions = 1) {
    const baseMs = Date.now() - 3_600_000
    return Array.from({ length: count }, (_, i) => ({
      partition: i % partitions,
      timestamp: String(baseMs + i * 1000),
      key: this.bytes(this.below(40)),
      value: Buffer.concat([this.bytes(this.below(2000)), Buffer.from('tautline'.repeat(this.below(40)))]),
      headers: {},
    }))
  }

  async check(name, what, body) {
    if (!name.includes(this.only)) return
    const start = Date.now()
    try {
      const note = await body()
      this.passed++
      console.log(`  ok    ${name}: ${what}${note ? `: ${note}` : ''} (${Date.now() - start} ms)`)
    } catch (error) {
      this.failed++
      console.log(`  FAIL  ${name}: ${what}: ${codeOf(error) || ''} ${error.message.slice(0, 300)} (${Date.now() - start} ms)`)
    }
  }

  // Says what the client, or this run, cannot do.
  dash(name, reason) {
    if (name.includes(this.only)) console.log(`  -     ${name}: not offered: ${reason}`)
  }

  choose(among, count) {
    const left = [...among]
    return Array.from({ length: count }, () => left.splice(this.below(left.length), 1)[0])
  }

  finish() {
    console.log(`${this.client}: SEED=${this.seed}\n${this.passed} passed, ${this.failed} failed`)
    process.exit(this.failed ? 1 : 0)
  }
}

// The broker's error code by name, wherever kafkajs wrapped it.
const codeOf = error =>
  error && (error.type || codeOf(error.cause) || codeOf(error.errors?.[0]) || codeOf(error.partitions?.[0]?.error) || codeOf(error.groups?.[0]?.error))

const expectRefused = async (code, call, what) => {
  const refusal = await call().then(answer => `accepted (${JSON.stringify(answer)})`, error => codeOf(error) || String(error))
  assert.equal(refusal, code, what)
}

// Asks until the probe holds: metadata may trail an acknowledged change.
const eventually = async (what, probe) => {
  const end = Date.now() + DEADLINE_MS
  for (;;) {
    const answer = await probe().catch(error => error)
    if (answer === true) return
    assert(Date.now() < end, `${what}: not within ${DEADLINE_MS} ms: ${answer}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

// Keys, values and headers byte for byte; null and empty differ.
const expectSame = (got, wanted) => {
  assert.equal(got.length, wanted.length, 'number of records')
  const body = ({ key, value, headers }) => ({ key, value, headers: headers || {} })
  got.forEach((record, i) => assert.deepEqual(body(record), body(wanted[i]), `record ${i} (offset ${record.offset})`))
}

module.exports = { BOOTSTRAP, DEADLINE_MS, Run, eventually, expectRefused, expectSame }
