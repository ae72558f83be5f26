// The checks of consumer groups through kafkajs: the classic protocol with eager rebalances, and no static members.
'use strict'

const assert = require('node:assert/strict')
const { AssignerProtocol } = require('kafkajs')
const { DoomedMember, Fleet, HEARTBEAT_WITHIN_MS, KILLED_SESSION_MS, SESSION_MS, kafka, restartBroker, valueOf } = require('./fleet')
const { eventually, expectRefused } = require('./harness')

const NOT_OFFERED = {
  group_static: 'no group.instance.id',
  group_sticky: 'no cooperative assignor',
  group_regex: 'a pattern is resolved once, when it is subscribed to',
  group_manual_assign: 'no consumer without a group',
}

const scale = (run, client) => async () => {
  const fleet = await Fleet.start(run, client, 'scale')
  for (const count of [1, 5, 2]) {
    const more = count - fleet.members.length
    if (more > 0) fleet.join(more)
    else await fleet.leave(run.choose(fleet.members, -more))
    await fleet.settle()
    await fleet.progress()
  }
  return fleet.finish()
}

const kill = (run, client) => async () => {
  const fleet = await Fleet.start(run, client, 'kill')
  fleet.join(2)
  const doomed = new DoomedMember(fleet.ledger, { ...fleet.how, sessionTimeout: KILLED_SESSION_MS })
  fleet.members.push(doomed)
  await fleet.settle()
  await fleet.progress()
  const { killed, stalledMs } = await doomed.kill()
  fleet.members = fleet.members.filter(member => member !== doomed)
  await fleet.settle()
  const movedMs = Date.now() - killed
  const least = KILLED_SESSION_MS - HEARTBEAT_WITHIN_MS - stalledMs
  assert(movedMs > least, `moved ${movedMs} ms after the kill, before the session timed out (stalled before for ${stalledMs} ms)`)
  await fleet.progress()
  return `${await fleet.finish()}, moved after ${movedMs} ms`
}

// A member that gives out its records one by one, and ends with what it was told to commit.
const consume = async (groupId, topic, count, { fromBeginning = true, commit, seek } = {}) => {
  const consumer = kafka.consumer({ groupId, sessionTimeout: SESSION_MS, heartbeatInterval: 500, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning })
  const offsets = []
  await consumer.run({ autoCommit: false, eachMessage: async ({ message }) => void offsets.push(Number(message.offset)) })
  if (seek !== undefined) consumer.seek({ topic, partition: 0, offset: String(seek) })
  await eventually(`${count} records`, async () => offsets.length >= count || offsets.length)
  if (commit !== undefined) await consumer.commitOffsets([{ topic, partition: 0, offset: String(commit) }])
  await consumer.disconnect()
  return offsets.slice(0, count)
}

const range = (from, until) => Array.from({ length: until - from }, (_, i) => from + i)

const hundred = async (run, client, name) => {
  const topic = run.topic(name)
  await client.createAndWait(topic, 1)
  await client.produce(topic, range(0, 100).map(i => ({ partition: 0, value: valueOf(topic, 0, i) })))
  return topic
}

const reset = (run, client) => async () => {
  const topic = await hundred(run, client, 'reset')
  assert.deepEqual(await consume(`${topic}-1`, topic, 100, { commit: 42 }), range(0, 100), 'earliest')
  assert.deepEqual(await consume(`${topic}-1`, topic, 58), range(42, 100), 'from the commit, whatever the reset')
  assert.deepEqual((await consume(`${topic}-1`, topic, 3, { seek: 97 })).filter(offset => offset >= 97).slice(0, 3), [97, 98, 99], 'after seek')
  const latest = kafka.consumer({ groupId: `${topic}-2`, sessionTimeout: SESSION_MS, heartbeatInterval: 500, maxWaitTimeInMs: 100 })
  await latest.connect()
  await latest.subscribe({ topic, fromBeginning: false })
  const got = []
  await latest.run({ autoCommit: false, eachMessage: async ({ message }) => void got.push(Number(message.offset)) })
  await eventually('what is produced after the member knows where the end is', async () => {
    await client.produce(topic, [{ partition: 0, value: 'new' }])
    return got.length > 0
  })
  await latest.disconnect()
  assert(got[0] >= 100, `latest began at ${got[0]}, among the old records`)
}

const atMostOnce = (run, client) => async () => {
  const topic = await hundred(run, client, 'most')
  const done = (await consume(topic, topic, 10, { commit: 10 })).slice(0, 5)
  done.push(...(await consume(topic, topic, 90)))
  assert.deepEqual(done, [...range(0, 5), ...range(10, 100)], 'processed: 5 to 9 are lost, nothing is repeated')
}

const atLeastOnce = (run, client) => async () => {
  const topic = await hundred(run, client, 'least')
  const done = await consume(topic, topic, 10, { commit: 4 })
  done.push(...(await consume(topic, topic, 96)))
  assert.deepEqual(done, [...range(0, 10), ...range(4, 100)], 'processed: nothing is lost, 4 to 9 are repeated')
}

const metadata = (run, client) => async () => {
  const topic = await hundred(run, client, 'metadata')
  const consumer = kafka.consumer({ groupId: topic, sessionTimeout: SESSION_MS, heartbeatInterval: 500, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  let seen = 0
  await consumer.run({ autoCommit: false, eachMessage: async () => void seen++ })
  await eventually('a record', async () => seen > 0)
  const commit = (offset, text) => consumer.commitOffsets([{ topic, partition: 0, offset: String(offset), metadata: text }])
  const stored = async () => (await client.admin.fetchOffsets({ groupId: topic }))[0].partitions[0]
  for (const [offset, text] of ['', 'where \u00e9', 'x'.repeat(4096)].entries()) {
    await commit(offset, text)
    const { offset: at, metadata: kept } = await stored()
    assert.deepEqual([at, kept || ''], [String(offset), text], 'committed')
  }
  await expectRefused('OFFSET_METADATA_TOO_LARGE', () => commit(9, 'x'.repeat(4097)), '4097 bytes of metadata')
  assert.equal((await stored()).offset, '2', 'committed after the refusal')
  await consumer.disconnect()
}

const administration = (run, client) => async () => {
  const fleet = await Fleet.start(run, client, 'admin', 4)
  const { groupId, topic } = fleet.how
  fleet.join(2)
  await fleet.settle()
  await fleet.progress()
  const describe = async () => (await client.admin.describeGroups([groupId])).groups[0]
  const { state, protocol, members } = await describe()
  assert.deepEqual([state, protocol], ['Stable', 'RoundRobinAssigner'], 'state and assignor')
  const shares = members.map(({ memberAssignment }) => AssignerProtocol.MemberAssignment.decode(memberAssignment).assignment[topic].sort().join())
  const wanted = fleet.members.map(member => member.owned.map(at => at.split('/').at(-1)).sort().join())
  assert.deepEqual(shares.sort(), wanted.sort(), 'partitions of the members')
  const listed = async () => (await client.admin.listGroups()).groups.some(group => group.groupId === groupId)
  assert(await listed(), 'not listed')
  await expectRefused('NON_EMPTY_GROUP', () => client.admin.deleteGroups([groupId]), 'delete with members there')
  const note = await fleet.finish()
  await eventually('empty after all have left', async () => (await describe()).state === 'Empty')
  await client.admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '1' }] })
  assert.equal((await client.committed(groupId))[`${topic}/0`], 1, 'altered')
  await eventually('empty again', async () => (await describe()).state === 'Empty')
  await client.admin.deleteGroups([groupId])
  assert(!(await listed()), 'listed after it was deleted')
  await expectRefused('GROUP_ID_NOT_FOUND', () => client.admin.deleteGroups([groupId]), 'delete again')
  return note
}

const restart = (run, client) => async () => {
  const fleet = await Fleet.start(run, client, 'restart')
  fleet.join(2)
  await fleet.settle()
  const idle = await hundred(run, client, 'restart-idle')
  await consume(idle, idle, 8, { commit: 8 })
  for (const signal of ['TERM', 'KILL']) {
    await fleet.progress()
    await restartBroker(signal)
    await client.reconnectAdmin()
    await eventually(`what was committed before ${signal} is committed`, async () => (await client.committed(idle))[`${idle}/0`] === 8)
    await fleet.progress()
    await fleet.settle()
  }
  return fleet.finish()
}

const groups = async (run, client) => {
  for (const [name, reason] of Object.entries(NOT_OFFERED)) run.dash(name, reason)
  await Promise.all([
    run.check('group_scale', '1, 5, 2 members under load', scale(run, client)),
    run.check('group_kill', 'a member is killed, its partitions move', kill(run, client)),
    run.check('group_reset', 'earliest, latest, a commit, and seek', reset(run, client)),
    run.check('group_at_most_once', 'commit before processing: what a death interrupts is lost', atMostOnce(run, client)),
    run.check('group_at_least_once', 'commit after processing: what a death interrupts is repeated', atLeastOnce(run, client)),
    run.check('group_commit_metadata', 'offsets come back with their metadata, too much of it is refused', metadata(run, client)),
    run.check('group_admin', 'listed, described, offsets altered, deleted when empty', administration(run, client)),
  ])
  if (!process.env.RESTART_COMMAND) run.dash('group_restart', 'no RESTART_COMMAND')
  else await run.check('group_restart', "groups and commits outlive the broker's restart and its kill -9", restart(run, client))
}

module.exports = { groups }
