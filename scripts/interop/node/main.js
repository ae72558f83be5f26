// The interop checks through kafkajs, an implementation of its own with older request versions. Only groups.js joins groups.
'use strict'

process.removeAllListeners('warning') // kafkajs sets negative timeouts, and Node says so each time
process.on('warning', () => {})

const assert = require('node:assert/strict')
const { ConfigResourceTypes } = require('kafkajs')
const { CODECS, Client } = require('./client')
const { doom } = require('./fleet')
const { groups } = require('./groups')
const { Run, eventually, expectRefused, expectSame } = require('./harness')

const PARTITIONS = 3
const MANY_TOPICS = 25
const MEGABYTE = 1_000_000
const DEFAULT_CONFIG = 5

const member = process.argv[2] === 'member'
const run = member || new Run('kafkajs')
const client = new Client()

const roundTrip = async (topic, partitions, sent, how) => {
  await client.produce(topic, sent, how)
  for (let partition = 0; partition < partitions; partition++) {
    const wanted = sent.filter(record => (record.partition || 0) === partition)
    const got = await client.read(topic, partition, 0, wanted.length)
    expectSame(got, wanted)
    got.forEach((record, i) => assert.equal(Number(record.offset), i, 'offset'))
  }
}

const filled = async (name, count) => {
  const topic = run.topic(name)
  const sent = run.records(count)
  await client.createAndWait(topic, 1)
  await client.produce(topic, sent)
  return { topic, sent }
}

const basics = async () => {
  await run.check('create_topic', 'a topic of 3 partitions appears in metadata', async () => {
    await client.createAndWait(run.topic('create'), PARTITIONS)
  })
  await run.check('idempotent_producer', '500 records in order, none twice', async () => {
    const topic = run.topic('idempotent')
    await client.createAndWait(topic, PARTITIONS)
    await roundTrip(topic, PARTITIONS, run.records(500, PARTITIONS), { idempotent: true })
  })
  for (const codec of Object.keys(CODECS)) {
    for (const acks of [0, 1, -1]) {
      const name = `produce_${codec}_acks_${acks === -1 ? 'all' : acks}`
      await run.check(name, '120 records come back byte-exact', async () => {
        const topic = run.topic(`${codec}-${acks}`)
        await client.createAndWait(topic, PARTITIONS)
        await roundTrip(topic, PARTITIONS, run.records(120, PARTITIONS), { codec, acks })
      })
    }
  }
}

const positions = async () => {
  await run.check('consume_from_start', 'all records, in order, from earliest', async () => {
    const { topic, sent } = await filled('start', 200)
    const [earliest, latest] = await client.bounds(topic)
    assert.deepEqual([earliest, latest], [0, sent.length])
    expectSame(await client.read(topic, 0, earliest, sent.length), sent)
  })
  await run.check('consume_from_offset', 'all records from a random offset', async () => {
    const { topic, sent } = await filled('offset', 200)
    const from = 1 + run.below(sent.length - 2)
    const got = await client.read(topic, 0, from, sent.length - from)
    assert.equal(Number(got[0].offset), from)
    expectSame(got, sent.slice(from))
  })
  await run.check('consume_from_time', 'offsets for times before, between and at', async () => {
    const { topic, sent } = await filled('time', 200)
    const near = 1 + run.below(sent.length - 2)
    const times = sent.map(record => Number(record.timestamp))
    for (const [ms, wanted] of [[times[near], near], [times[near] - 500, near], [times[near] + 1, near + 1], [times.at(-1), sent.length - 1], [0, 0]]) {
      const [{ offset }] = await client.admin.fetchTopicOffsetsByTimestamp(topic, ms)
      assert.equal(Number(offset), wanted, `offset for ${ms}`)
    }
    expectSame(await client.read(topic, 0, near, sent.length - near), sent.slice(near))
  })
  await run.check('consume_replay', 'two readings are the same', async () => {
    const { topic, sent } = await filled('replay', 200)
    const first = await client.read(topic, 0, 0, sent.length)
    const second = await client.read(topic, 0, 0, sent.length)
    const whole = ({ offset, timestamp, key, value }) => ({ offset, timestamp, key, value })
    assert.deepEqual(second.map(whole), first.map(whole))
  })
}

const payloads = async () => {
  await run.check('headers_null_keys_null_values', 'absent, empty and repeated are told apart', async () => {
    const topic = run.topic('headers')
    await client.createAndWait(topic, 1)
    const headers = { a: [Buffer.from('1'), Buffer.from('2')], empty: Buffer.alloc(0), 'utf-8 \u00e9': Buffer.from([0, 255]) }
    await roundTrip(topic, 1, [
      { key: null, value: Buffer.from('no key') },
      { key: Buffer.from('tombstone'), value: null },
      { key: null, value: null },
      { key: Buffer.alloc(0), value: Buffer.alloc(0) },
      { key: Buffer.from('k'), value: Buffer.from('v'), headers },
      { key: null, value: null, headers: { only: Buffer.from('header') } },
    ].map(record => ({ ...record, partition: 0 })))
  })
  await run.check('one_megabyte_messages', '5 records of 1000000 bytes', async () => {
    const topic = run.topic('megabyte')
    await client.createAndWait(topic, 1)
    const sent = Array.from({ length: 5 }, (_, i) => ({ key: Buffer.from([i]), value: run.bytes(MEGABYTE), partition: 0 }))
    for (const record of sent) await client.produce(topic, [record])
    expectSame(await client.read(topic, 0, 0, sent.length), sent)
  })
  await run.check('many_topics', '25 topics x 8 partitions written and read', async () => {
    const topics = Array.from({ length: MANY_TOPICS }, (_, i) => run.topic(`many-${i}`))
    await client.admin.createTopics({ topics: topics.map(topic => ({ topic, numPartitions: 8, replicationFactor: 1 })) }) // waits for leaders
    const each = Array.from({ length: 8 }, (_, partition) => partition)
    await client.produceToAll(topics.map(topic => ({
      topic,
      messages: each.map(partition => ({ partition, key: null, value: `${topic}/${partition}` })),
    })))
    const from = topics.flatMap(topic => each.map(partition => ({ topic, partition, offset: 0 })))
    const got = await client.readAll(from, from.length)
    got.forEach(record => assert.equal(String(record.value), `${record.topic}/${record.partition}`))
    assert.equal(new Set(got.map(record => String(record.value))).size, from.length, 'partitions read')
    await client.admin.deleteTopics({ topics })
  })
}

const refusals = async () => {
  await run.check('error_unknown_topic', 'describe answers UNKNOWN_TOPIC_OR_PARTITION and creates nothing', async () => {
    const topic = run.topic('nowhere')
    await expectRefused('UNKNOWN_TOPIC_OR_PARTITION', () => client.admin.fetchTopicMetadata({ topics: [topic] }), 'describe')
    assert(!(await client.admin.listTopics()).includes(topic), 'describing a topic must not create it')
  })
  await run.check('error_record_too_large', 'MESSAGE_TOO_LARGE, and the next produce works', async () => {
    const topic = run.topic('too-large')
    await client.createAndWait(topic, 1)
    const large = [{ partition: 0, key: null, value: run.bytes(1_500_000) }]
    await expectRefused('MESSAGE_TOO_LARGE', () => client.produce(topic, large), 'a record of 1.5 MB')
    await roundTrip(topic, 1, [{ partition: 0, key: null, value: Buffer.from('still works') }])
  })
  await run.check('error_offset_out_of_range', 'OFFSET_OUT_OF_RANGE, then all from earliest', async () => {
    const { topic, sent } = await filled('out-of-range', 20)
    await expectRefused('OFFSET_OUT_OF_RANGE', () => client.read(topic, 0, 1000, 1), 'beyond the end')
    const [earliest] = await client.bounds(topic)
    expectSame(await client.read(topic, 0, earliest, sent.length), sent)
  })
  await run.check('error_topic_exists', 'TOPIC_ALREADY_EXISTS', async () => {
    const topic = run.topic('twice')
    await client.createAndWait(topic, 1)
    assert.equal(await client.create(topic, 1), false, 'what kafkajs makes of TOPIC_ALREADY_EXISTS')
  })
  await run.check('error_invalid_config', 'INVALID_CONFIG, and no topic is made', async () => {
    const topic = run.topic('invalid')
    await expectRefused('INVALID_CONFIG', () => client.create(topic, 1, { 'no.such.config': '1' }), 'an unknown config')
    await expectRefused('INVALID_CONFIG', () => client.create(topic, 1, { 'retention.ms': 'soon' }), 'a wrong type')
    assert(!(await client.admin.listTopics()).includes(topic), 'a refused topic must not exist')
  })
}

const administration = async () => {
  await run.check('create_partitions', '2 grow to 5, all usable; shrinking is refused', async () => {
    const topic = run.topic('grow')
    await client.createAndWait(topic, 2)
    await client.admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
    await eventually('five partitions in metadata', async () => (await client.admin.fetchTopicOffsets(topic)).length === 5)
    await roundTrip(topic, 5, run.records(50, 5))
    const shrink = () => client.admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    await expectRefused('INVALID_PARTITIONS', shrink, 'fewer partitions')
  })
  await run.check('delete_records', 'the log starts at 40 after deleting up to 40', async () => {
    const { topic, sent } = await filled('truncate', 100)
    await client.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '40' }] })
    assert.deepEqual(await client.bounds(topic), [40, 100])
    expectSame(await client.read(topic, 0, 40, 60), sent.slice(40))
    const beyond = () => client.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '101' }] })
    await expectRefused('OFFSET_OUT_OF_RANGE', beyond, 'beyond the end')
  })
  await run.check('describe_alter_configs', 'created, replaced, and back to the default', async () => {
    const topic = run.topic('configs')
    await client.create(topic, 1, { 'retention.ms': '86400000' })
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
    const replace = configEntries => client.admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
    const becomes = (value, isDefault) => eventually(`retention.ms becomes ${value}`, async () => {
      const { resources } = await client.admin.describeConfigs({ includeSynonyms: false, resources: [resource] })
      const entry = resources[0].configEntries.find(({ configName }) => configName === 'retention.ms')
      return (entry.configValue === value && (entry.configSource === DEFAULT_CONFIG) === isDefault) || JSON.stringify(entry)
    })
    await becomes('86400000', false)
    await replace([{ name: 'retention.ms', value: '3600000' }])
    await becomes('3600000', false)
    await replace([{ name: 'max.message.bytes', value: '65536' }])
    await becomes('604800000', true)
    await expectRefused('INVALID_CONFIG', () => replace([{ name: 'retention.ms', value: 'soon' }]), 'a wrong type')
  })
  await run.check('delete_topic', 'gone, and can be made anew with offsets from 0', async () => {
    const { topic } = await filled('deleted', 10)
    await client.admin.deleteTopics({ topics: [topic] })
    await client.reconnectAdmin()
    await eventually('gone from metadata', async () => !(await client.admin.listTopics()).includes(topic))
    await expectRefused('UNKNOWN_TOPIC_OR_PARTITION', () => client.admin.deleteTopics({ topics: [topic] }), 'delete again')
    await client.createAndWait(topic, 1)
    await roundTrip(topic, 1, run.records(10))
  })
}

const main = async () => {
  await client.admin.connect()
  for (const checks of [basics, positions, payloads, refusals, administration]) await checks()
  await groups(run, client)
  await client.admin.disconnect()
  run.finish()
}

if (member) doom(JSON.parse(process.argv[3]))
else main().catch(error => {
  console.log(`  FAIL  connect: ${error.message}`)
  process.exit(1)
})
