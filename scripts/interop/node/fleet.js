// Consumer groups under load: a producer that runs meanwhile, members that commit after processing, and a ledger of both.
'use strict'

const assert = require('node:assert/strict')
const { execFile, fork } = require('node:child_process')
const { createInterface } = require('node:readline')
const { Kafka, Partitioners, logLevel } = require('kafkajs')
const { BOOTSTRAP, eventually } = require('./harness')

const PARTITIONS = 10
const SESSION_MS = 20_000 // long enough for members on a busy machine
const KILLED_SESSION_MS = 6000 // the least that brokers allow by default
const HEARTBEAT_WITHIN_MS = 2000 // a member that has time has sent one by then
const LOAD_RECORDS = 20
const LOAD_PAUSE_MS = 20

const kafka = new Kafka({ brokers: [BOOTSTRAP], clientId: 'interop-groups', logLevel: logLevel.NOTHING, connectionTimeout: 10_000, retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 100 } })
const valueOf = (topic, partition, offset) => `${topic}/${partition}/${offset}`

// What all members of a group together have processed and committed. It holds against them a record that nobody processed, one
// that is not what was produced there, and one that was processed although that had been committed.
class Ledger {
  times = new Map()
  committedUpTo = new Map()
  violations = []

  processed(member, topic, partition, offset, value) {
    const at = `${topic}/${partition}`
    const upTo = this.committedUpTo.get(at) || 0
    if (value !== valueOf(topic, partition, offset)) this.violations.push(`${member} got ${value} at ${at} ${offset}`)
    if (offset < upTo) this.violations.push(`${member} processed ${at} ${offset}, committed up to ${upTo}`)
    this.times.set(`${at}/${offset}`, (this.times.get(`${at}/${offset}`) || 0) + 1)
  }

  committed(topic, partition, offset) {
    const at = `${topic}/${partition}`
    this.committedUpTo.set(at, Math.max(offset, this.committedUpTo.get(at) || 0))
  }

  // Whether everything up to these ends is committed, or something is wrong already.
  covers(ends) {
    return this.violations.length > 0 || Object.entries(ends).every(([at, end]) => (this.committedUpTo.get(at) || 0) >= end)
  }

  // All that was produced was processed; the answer counts what was processed again, never after a commit.
  verify(ends) {
    assert.deepEqual(this.violations.slice(0, 3), [], `${this.violations.length} violations`)
    let all = 0
    let again = 0
    for (const [at, end] of Object.entries(ends)) {
      for (let offset = 0; offset < end; offset++, all++) {
        const count = this.times.get(`${at}/${offset}`) || 0
        assert(count > 0, `nobody processed ${at} ${offset} of ${end}`)
        if (count > 1) again++
      }
    }
    return `${all} records, ${again} processed again`
  }
}

// Produces to every partition of a topic until it is stopped; the answer is what was acknowledged, by the next offsets.
const startLoad = (topic, partitions) => {
  let stopping = false
  const produce = async () => {
    const producer = kafka.producer({ idempotent: true, allowAutoTopicCreation: false, createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    const ends = Object.fromEntries(Array.from({ length: partitions }, (_, p) => [`${topic}/${p}`, 0]))
    while (!stopping) {
      await new Promise(resolve => setTimeout(resolve, LOAD_PAUSE_MS))
      const messages = Array.from({ length: LOAD_RECORDS }, (_, i) => {
        const partition = i % partitions
        return { partition, value: valueOf(topic, partition, ends[`${topic}/${partition}`]++) }
      })
      await producer.send({ topic, messages, acks: -1 })
    }
    await producer.disconnect()
    return ends
  }
  const done = produce()
  done.catch(() => {}) // told to whoever stops it
  return { stop: () => ((stopping = true), done) }
}

// A member that commits each batch when it has processed it: kafkajs tells of a rebalance only when it is over.
class Member {
  owned = []
  processed = 0
  joins = 0

  constructor(name, account, { groupId, topic, sessionTimeout = SESSION_MS }) {
    Object.assign(this, { name, account })
    this.consumer = kafka.consumer({ groupId, sessionTimeout, heartbeatInterval: 500, rebalanceTimeout: 10_000, maxWaitTimeInMs: 100, metadataMaxAge: 500 })
    const { GROUP_JOIN, REBALANCING, CRASH } = this.consumer.events
    this.consumer.on(GROUP_JOIN, ({ payload }) => {
      this.joins++
      this.owned = Object.entries(payload.memberAssignment).flatMap(([of, partitions]) => partitions.map(p => `${of}/${p}`)).sort()
    })
    this.consumer.on(REBALANCING, () => (this.owned = []))
    this.consumer.on(CRASH, ({ payload }) => {
      this.owned = []
      if (!payload.restart) this.error = payload.error
    })
    this.running = this.run(topic)
    this.running.catch(error => (this.error = error))
  }

  async run(topic) {
    await this.consumer.connect()
    await this.consumer.subscribe({ topic, fromBeginning: true })
    await this.consumer.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: 1, eachBatch: batch => this.batch(batch) })
  }

  async batch({ batch: { topic, partition, messages }, resolveOffset, heartbeat, isStale, isRunning }) {
    if (isStale()) return
    for (const { offset, value } of messages) {
      if (!isRunning() || isStale()) break
      this.account.processed(this.name, topic, partition, Number(offset), String(value))
      this.processed++
      this.last = { topic, partition, offset: Number(offset) + 1 }
      resolveOffset(offset)
    }
    if (this.last?.topic === topic && this.last.partition === partition) {
      await this.consumer.commitOffsets([{ ...this.last, offset: String(this.last.offset) }])
      this.account.committed(topic, partition, this.last.offset)
    }
    await heartbeat()
  }

  async leave() {
    await this.running
    await this.consumer.disconnect()
  }

  toString() {
    return `${this.name}: ${this.owned.map(at => at.split('/').at(-1))}, ${this.processed} processed ${this.error || ''}`
  }
}

// A member in a process of its own, which only `kill -9` ends: each line it prints is out before what follows it.
class DoomedMember {
  owned = []
  processed = 0
  alive = [] // when it had time to say so, by the clock that processes share
  name = 'doomed'

  constructor(account, how) {
    this.child = fork(require.main.filename, ['member', JSON.stringify(how)], { stdio: ['ignore', 'pipe', 'ignore', 'ipc'] })
    const lines = createInterface({ input: this.child.stdout })
    this.ended = new Promise(resolve => lines.on('close', resolve))
    lines.on('line', line => {
      if (!line.endsWith(']')) return // cut off in the middle
      const [kind, ...told] = JSON.parse(line)
      if (kind === 'owned') this.owned = told
      else if (kind === 'alive') this.alive.push(...told)
      else account[kind](...told)
      if (kind === 'processed') this.processed++
    })
  }

  // When that was, and for how long it may have had no time for a heartbeat before: a machine can be that busy.
  async kill() {
    const killed = Date.now()
    this.child.kill('SIGKILL')
    await this.ended
    const alive = [...this.alive, killed]
    const gaps = alive.slice(1).map((now, i) => (now > killed - HEARTBEAT_WITHIN_MS ? now - alive[i] : 0))
    return { killed, stalledMs: Math.max(...gaps) }
  }
}

// The whole program of such a member, which says what the time is whenever it has some. Writing to a pipe is synchronous here.
const doom = how => {
  const tell = (...line) => process.stdout.write(`${JSON.stringify(line)}\n`)
  const account = { processed: (_, ...what) => tell('processed', 'doomed', ...what), committed: (...what) => tell('committed', ...what) }
  const member = new Member('doomed', account, how)
  let before = ''
  setInterval(() => {
    if (String(member.owned) !== before) tell('owned', ...member.owned)
    before = String(member.owned)
    tell('alive', Date.now())
  }, 20)
}

// The members of one group on one topic, and their load.
class Fleet {
  members = []
  made = 0
  ledger = new Ledger()

  static async start(run, client, name, partitions = PARTITIONS) {
    const fleet = new Fleet()
    const topic = run.topic(name)
    Object.assign(fleet, { client, partitions, topic, how: { groupId: topic, topic } })
    await client.createAndWait(topic, partitions)
    fleet.load = startLoad(topic, partitions)
    return fleet
  }

  join(count) {
    const added = Array.from({ length: count }, () => new Member(`member-${++this.made}`, this.ledger, this.how))
    this.members.push(...added)
    return added
  }

  async leave(leaving) {
    this.members = this.members.filter(member => !leaving.includes(member))
    await Promise.all(leaving.map(member => member.leave()))
  }

  // Waits until every partition has one owner, and the shares differ by one at most.
  async settle() {
    await eventually(`${this.members.length} members share ${this.partitions} partitions`, async () => {
      const sizes = this.members.map(member => member.owned.length)
      const all = this.members.flatMap(member => member.owned)
      const settled = all.length === this.partitions && new Set(all).size === this.partitions && Math.max(...sizes) - Math.min(...sizes) <= 1
      return settled || this.members.join('; ')
    })
  }

  // Waits until every member has processed something more.
  async progress() {
    const before = new Map(this.members.map(member => [member, member.processed]))
    await eventually('every member goes on', async () => this.members.every(member => member.processed > before.get(member)) || this.members.join('; '))
  }

  // Ends the load, waits until all of it is committed, lets all leave, and judges.
  async finish() {
    const ends = await this.load.stop()
    await eventually('all that was produced is committed', async () => this.ledger.covers(ends) || this.members.join('; '))
    await this.leave([...this.members])
    const note = this.ledger.verify(ends)
    assert.deepEqual(await this.client.committed(this.how.groupId), ends, "the group's committed offsets")
    return note
  }
}

// Runs RESTART_COMMAND, which returns when the broker is ready again.
const restartBroker = signal =>
  new Promise((resolve, reject) => {
    const env = { ...process.env, RESTART_SIGNAL: signal }
    execFile('sh', ['-c', process.env.RESTART_COMMAND], { env }, (error, out) => (error ? reject(new Error(`RESTART_COMMAND: ${error.message.slice(0, 100)} ${out.slice(-300)}`)) : resolve()))
  })

module.exports = { DoomedMember, Fleet, HEARTBEAT_WITHIN_MS, KILLED_SESSION_MS, SESSION_MS, doom, kafka, restartBroker, valueOf }
