// What the checks ask of kafkajs. Its consumer can only join a group, so reading goes through its own broker connections.
'use strict'

const assert = require('node:assert/strict')
const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require('kafkajs')
const SnappyCodec = require('kafkajs-snappy')
const { BOOTSTRAP, DEADLINE_MS, eventually } = require('./harness')

CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec

// LZ4 and zstd want native plug-ins that kafkajs does not bring.
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
}

class Client {
  constructor() {
    // A busy machine may need longer for a connection than the second that is the default.
    const retry = { initialRetryTime: 50, maxRetryTime: 300, retries: 20 }
    this.kafka = new Kafka({ brokers: [BOOTSTRAP], clientId: 'interop', logLevel: logLevel.NOTHING, connectionTimeout: 10_000, retry })
    this.admin = this.kafka.admin()
  }

  // A connection of its own: kafkajs keeps asking for every topic it ever touched, deleted ones too.
  async connected(use) {
    const createCluster = Object.getOwnPropertySymbols(this.kafka).find(s => s.description === 'private:Kafka:createCluster')
    const cluster = this.kafka[createCluster]({ metadataMaxAge: 60_000, allowAutoTopicCreation: false, isolationLevel: 0 })
    await cluster.connect()
    return use(cluster).finally(() => cluster.disconnect())
  }

  async reconnectAdmin() {
    await this.admin.disconnect()
    this.admin = this.kafka.admin()
    await this.admin.connect()
  }

  async create(topic, numPartitions, config = {}) {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    return this.admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] })
  }

  // Creates a topic and waits until each partition's leader answers: with acks=0 nothing else would tell.
  async createAndWait(topic, partitions) {
    await this.create(topic, partitions)
    await eventually('every partition has a leader', async () => (await this.admin.fetchTopicOffsets(topic)).length === partitions)
  }

  async produce(topic, messages, { codec = 'none', acks = -1, idempotent = false } = {}) {
    return this.produceToAll([{ topic, messages }], { codec, acks, idempotent })
  }

  async produceToAll(topicMessages, { codec = 'none', acks = -1, idempotent = false } = {}) {
    const producer = this.kafka.producer({
      idempotent,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    try {
      return await producer.sendBatch({ topicMessages, acks, compression: CODECS[codec] })
    } finally {
      await producer.disconnect()
    }
  }

  // Reads `count` records from the given offsets; `from` is a list of { topic, partition, offset }.
  async readAll(from, count) {
    return this.connected(async cluster => {
      for (const topic of new Set(from.map(at => at.topic))) await cluster.addTargetTopic(topic)
      const next = new Map(from.map(at => [`${at.topic}/${at.partition}`, { ...at }]))
      const got = []
      const end = Date.now() + DEADLINE_MS
      while (got.length < count) {
        assert(Date.now() < end, `got ${got.length} of ${count} records within ${DEADLINE_MS} ms`)
        for (const [nodeId, topics] of byLeader(cluster, [...next.values()])) {
          const broker = await cluster.findBroker({ nodeId })
          const fetched = await broker.fetch({ maxWaitTime: 100, minBytes: 1, isolationLevel: 0, topics })
          for (const { topicName: topic, partitions } of fetched.responses) {
            partitions.forEach(({ partition, messages }) => got.push(...taken(next, topic, partition, messages)))
          }
        }
      }
      return got
    })
  }

  async read(topic, partition, offset, count) {
    return this.readAll([{ topic, partition, offset }], count)
  }

  // What a group has committed, by topic/partition.
  async committed(groupId) {
    const topics = await this.admin.fetchOffsets({ groupId })
    return Object.fromEntries(topics.flatMap(({ topic, partitions }) => partitions.map(({ partition, offset }) => [`${topic}/${partition}`, Number(offset)])))
  }

  async bounds(topic) {
    const [{ low, high }] = await this.admin.fetchTopicOffsets(topic)
    return [Number(low), Number(high)]
  }
}

const byLeader = (cluster, positions) => {
  const leaders = new Map()
  for (const { topic, partition, offset } of positions) {
    const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))
    assert(nodeId, `${topic}/${partition} has no leader`)
    const topics = leaders.get(nodeId) || leaders.set(nodeId, []).get(nodeId)
    topics.push({ topic, partitions: [{ partition, fetchOffset: String(offset), maxBytes: 1 << 20 }] })
  }
  return leaders
}

// A batch may begin before the offset asked for; the position moves behind what is taken.
const taken = (next, topic, partition, messages) => {
  const at = next.get(`${topic}/${partition}`)
  const wanted = messages.filter(message => Number(message.offset) >= at.offset)
  if (wanted.length) at.offset = Number(wanted.at(-1).offset) + 1
  return wanted.map(message => ({ ...message, topic, partition }))
}

module.exports = { CODECS, Client }
