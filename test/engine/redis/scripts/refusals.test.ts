import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { holderOf, newId } from '../../../../src/engine/port/holder';
import { CLAIM_WINDOW } from '../../../../src/engine/port/protocol';
import { READER } from '../../../../src/engine/port/LockStore';
import { saidBy } from '../../../../src/engine/redis/connection/replies';
import { acquireQueuedScript, acquireScript, acquireSharedScript } from '../../../../src/engine/redis/scripts/acquire';
import type { AcquireQueuedReply } from '../../../../src/engine/redis/scripts/acquire';
import { releaseQueuedScript, releaseScript } from '../../../../src/engine/redis/scripts/release';
import { ScriptError } from '../../../../src/engine/redis/scripts/Script';
import type { Script, ScriptFrame, ScriptItem } from '../../../../src/engine/redis/scripts/Script';
import { SLOTS, clockOfSlot, slotOf } from '../../../../src/engine/redis/slots';
import { numbers } from '../../../fixtures/RedisCluster';
import { RedisServer } from '../../../fixtures/RedisServer';
import { skip } from '../../../fixtures/serverVersion';
import { skipWithoutRedis } from '../../../fixtures/sharedServer';
import { until } from '../../../fixtures/until';
import { ended, ownClient } from '../../clientOf';
import { ScriptScene, TTL } from './ScriptScene';

/** The commands that the scripts write with. */
const WRITES = ['set', 'del', 'pexpire', 'pexpireat', 'zadd', 'zrem', 'hset', 'hdel'];

suite('A script that is refused in the middle', () => {
    let server: RedisServer;
    let scene: ScriptScene;
    let limited: Redis;

    suiteSetup(async function () {
        skipWithoutRedis.call(this);
        server = await RedisServer.start();
    });
    suiteTeardown(() => server?.stop());
    setup(async () => {
        scene = await ScriptScene.on(server);
        limited = await ownClient(server);
    });
    teardown(() => Promise.all([scene.end(), ended(limited)]));

    /** Runs it as a user who may not run some commands. @returns whether it was done. */
    async function runWithout<Answer>(
        refused: string,
        script: Script<Answer>,
        item: ScriptItem,
        frame: ScriptFrame = {},
    ): Promise<boolean> {
        const rights = ['reset', 'on', '>secret', '~*', '&*', '+@all', `-${refused}`];
        await scene.client.call('ACL', 'SETUSER', 'limited', ...rights);
        await limited.auth('limited', 'secret');
        const clock = script.clocked ? scene.clock : undefined;
        const answer = await script.run(limited, [item], { clock, ...frame }).catch((error: unknown) => [error]);
        return !(answer[0] instanceof Error);
    }

    for (const refused of WRITES) {
        test(`(${refused}) takes no free key without an answer that says so`, async () => {
            const item = { keys: [scene.key, scene.queue], args: [newId(), String(TTL)] };
            const done = await runWithout(refused, acquireScript, item);
            assert.strictEqual(await scene.client.exists(scene.key), done ? 1 : 0);
        });

        test(`(${refused}) tells nobody of a grant that did not happen`, async () => {
            const { holder } = await scene.held();
            const ids = [newId(), newId()];
            for (const id of ids) await scene.wait(id);
            const item = { keys: scene.keys, args: [holder, '', '0', ''] };
            const done = await runWithout(refused, releaseQueuedScript, item, { before: [''] });
            const current = await scene.client.get(scene.key);
            await scene.client.publish(scene.channel, 'grant\n1+0\n1\nend:\nend');
            const heard = (await ends(scene)).filter((message) => message.kind === 'grant');
            for (const message of heard) assert.strictEqual(current, `${message.id}${message.fence}`);
            // Where it failed the holder has the key still, or one that waits has it for the time it has to claim it.
            if (!done && current !== holder) assert.isAtMost(await scene.client.pttl(scene.key), CLAIM_WINDOW);
            if (done) assert.notStrictEqual(current, holder);
        });

        test(`(${refused}) leaves one that waits either in line or out of it`, async () => {
            await scene.held();
            const id = newId();
            const item = { keys: scene.keys, args: [id, String(TTL), '0'] };
            const done = await runWithout(refused, acquireQueuedScript, item, { before: [scene.channel] });
            const { waiters } = await scene.inspect();
            assert.strictEqual(waiters.length, done ? 1 : waiters.length);
            // Whatever is there of it goes away when the acquisition is given up.
            await scene.giveBack({ id });
            assert.deepEqual(await scene.left(), [scene.key]);
        });
    }

    for (const refused of WRITES) {
        test(`(${refused}) shares no key without an answer that says so, and ends no lease before its time`, async () => {
            const before = refused === 'pexpireat' ? await scene.shared(READER, 5000) : undefined;
            const id = newId();
            const done = await runWithout(refused, acquireSharedScript, { keys: scene.keys, args: [id, `${TTL}*1`] });
            if (before !== undefined) await scene.endsAfter(before.id);
            if (done) await scene.endsWith(id);
        });

        test(`(${refused}) tells no reader of a grant that did not happen`, async () => {
            const { holder } = await scene.held();
            for (const id of [newId(), newId()]) await scene.wait(id, { share: READER });
            const item = { keys: scene.keys, args: [holder, '', '0', ''] };
            await runWithout(refused, releaseQueuedScript, item, { before: [''] });
            const holders = (await scene.inspect()).holders.map((one) => one.holder);
            await scene.client.publish(scene.channel, 'grant\n1+0\n1\nend:\nend');
            const heard = (await ends(scene)).filter((message) => message.kind === 'grant');
            for (const { fence, id } of heard) assert.include(holders, `${id}${fence}`);
        });
    }

    test('(del) releases all the same when somebody waits', async () => {
        const { holder } = await scene.held();
        await scene.wait(newId());
        const item = { keys: scene.keys, args: [holder, '', '0', ''] };
        assert.isTrue(await runWithout('del', releaseQueuedScript, item, { before: [''] }));
    });
});

/** All messages before the last one, which the test itself has published. */
async function ends(scene: ScriptScene): Promise<readonly { kind: string; id: string; fence: number }[]> {
    const all: { kind: string; id: string; fence: number }[] = [];
    for (let at = 0; ; at++) {
        const message = (await scene.messages(at + 1))[at];
        if (message?.kind !== 'grant') continue;
        if (message.id === 'end:') return all;
        all.push(message);
    }
}

suite('A server that is out of memory', () => {
    let server: RedisServer;
    let scene: ScriptScene;

    suiteSetup(async function () {
        skipWithoutRedis.call(this);
        server = await RedisServer.start();
    });
    suiteTeardown(() => server?.stop());
    setup(async () => void (scene = await ScriptScene.on(server)));
    teardown(async () => {
        await scene.client.config('SET', 'maxmemory', '0');
        await scene.end();
    });

    /** It has the key, or is told to ask. (A script that has written already is not refused any more.) */
    async function told(id: string): Promise<void> {
        const [message] = await scene.messages(1);
        assert.propertyVal(message, 'id', id);
        if (message?.kind === 'first') assert.strictEqual(message.taken, 0);
        else assert.lengthOf((await scene.inspect()).waiters, 0);
    }

    async function full(): Promise<void> {
        await scene.client.config('SET', 'maxmemory-policy', 'noeviction');
        await scene.client.config('SET', 'maxmemory', '1');
    }

    test('takes back a key', async () => {
        const { holder } = await scene.held();
        await full();
        assert.strictEqual(await scene.release(holder), 'released');
        assert.deepEqual(await scene.left(), []);
    });

    test('takes back a key that others wait for: nobody is told of a grant, the first is told to ask', async () => {
        const { holder } = await scene.held();
        const id = newId();
        await scene.wait(id);
        await full();
        assert.deepEqual(await scene.giveBack({ holder }), { released: true, window: 0, waiting: 0 });
        assert.isNull(await scene.client.get(scene.key));
        assert.deepEqual(await scene.messages(1), [{ kind: 'first', key: scene.key, id, taken: 0 }]);
    });

    test('takes back the place of one that shares, also where others wait for the key', async () => {
        const [short, long] = [await scene.shared(READER, 15_000), await scene.shared(READER)];
        const id = newId();
        await full();
        assert.strictEqual(await scene.leave(long.holder), 'released');
        await scene.endsWith(short.id);
        await scene.client.config('SET', 'maxmemory', '0');
        await scene.wait(id, { share: { limit: 1, permits: 1 } });
        await full();
        assert.deepInclude(await scene.giveBack({ holder: short.holder }), { released: true });
        await told(id);
    });

    test('takes back permits that others wait for', async () => {
        const share = { limit: 2, permits: 1 };
        const [one, other] = [await scene.shared(share), await scene.shared(share)];
        const id = newId();
        await scene.wait(id, { share });
        await full();
        assert.deepInclude(await scene.giveBack({ holder: one.holder }), { released: true });
        assert.isFalse((await scene.inspect()).holders.some(({ holder }) => holder === one.holder));
        assert.isTrue((await scene.inspect()).holders.some(({ holder }) => holder === other.holder));
        await told(id);
    });

    test('renews a lease, and tells an acquisition why it is refused', async () => {
        const { holder } = await scene.held();
        await full();
        assert.strictEqual(await scene.renew(holder, 60_000), 'renewed');
        await scene.release(holder);
        const item = { keys: [scene.key, scene.queue], args: [newId(), String(TTL)] };
        const answer = await acquireScript
            .run(scene.client, [item], { clock: scene.clock })
            .catch((error: unknown) => [error]);
        assert.match(answer[0] instanceof Error ? answer[0].message : '', /OOM/);
        assert.deepEqual(await scene.left(), []);
    });

    test('releases a lease although another item of the same list is refused', async () => {
        const { holder } = await scene.held();
        await full();
        const [released, other] = await releaseScript.run(scene.client, [
            { keys: [scene.key, scene.queue], args: [holder] },
            { keys: [`${scene.key}:b`, `${scene.queue}:b`], args: [holder] },
        ]);
        assert.notInstanceOf(released, ScriptError);
        assert.deepEqual([released, other], ['released', 'gone']);
    });
});

suite('A server with too few replicas', () => {
    let server: RedisServer;
    let scene: ScriptScene;

    suiteSetup(async function () {
        skipWithoutRedis.call(this);
        server = await RedisServer.start();
        const client = await ownClient(server);
        await client.config('SET', 'min-replicas-to-write', '1');
        const written = await client.set('key', '').catch(() => undefined);
        await ended(client);
        if (written !== undefined) skip(this, 'this server does not know min-replicas-to-write');
    });
    suiteTeardown(() => server?.stop());
    setup(async () => void (scene = await ScriptScene.on(server)));
    teardown(async () => {
        await alone(0);
        await scene.end();
    });

    /** From now on this many replicas are needed. There are none. */
    async function alone(replicas: number): Promise<void> {
        await scene.client.config('SET', 'min-replicas-to-write', String(replicas));
    }

    /** Asks, and is refused with that word. */
    async function refused(asked: Promise<unknown>): Promise<void> {
        const error: unknown = await asked.then(
            (answer) => assert.fail(`It answered ${JSON.stringify(answer)}`),
            (thrown: unknown) => thrown,
        );
        assert.strictEqual(saidBy(error), 'NOREPLICAS', String(error));
    }

    test('grants nothing, and keeps no place in line', async () => {
        await alone(1);
        await refused(scene.acquire(newId()));
        await refused(scene.ask(newId(), 0));
        assert.deepEqual(await scene.left(), []);
        assert.strictEqual(await scene.client.exists(scene.clock), 0);
    });

    test('keeps a lease as it was that cannot be given back, and tells nobody', async () => {
        const { holder } = await scene.held();
        const id = newId();
        await scene.wait(id);
        const before = await scene.inspect();
        await alone(1);
        await refused(scene.giveBack({ holder }));
        await refused(scene.giveBack({ holder, id, underWay: true }));
        await refused(scene.renew(holder, 60_000));
        await refused(scene.ask(newId(), 0));
        const { holder: current, waiters } = await scene.inspect();
        assert.strictEqual(current, holder);
        assert.sameMembers(
            waiters.map((one) => one.id),
            before.waiters.map((one) => one.id),
        );
        assert.isEmpty(scene.heard);
        await alone(0);
        assert.isTrue((await scene.giveBack({ holder })).released);
        assert.strictEqual((await scene.messages(1))[0]?.kind, 'grant');
    });

    test('does not release a key for which nobody waits', async () => {
        const { holder } = await scene.held();
        await alone(1);
        await refused(scene.release(holder));
        assert.strictEqual(await scene.client.get(scene.key), holder);
    });
});

suite('A slot that is about to leave its server', function () {
    this.timeout(20_000);
    let servers: RedisServer[];
    let target: string;
    let scene: ScriptScene;
    let clock: string;

    suiteSetup(async function () {
        skipWithoutRedis.call(this);
        servers = await Promise.all([1, 2].map(() => RedisServer.start({ args: ['--cluster-enabled', 'yes'] })));
        const [one, other] = await Promise.all(servers.map(ownClient));
        if (one === undefined || other === undefined) assert.fail();
        await one.call('CLUSTER', 'ADDSLOTS', ...numbers(0, SLOTS).map(String));
        await one.call('CLUSTER', 'MEET', '127.0.0.1', String(servers[1]?.port));
        target = String(await other.call('CLUSTER', 'MYID'));
        const knows = async (client: Redis, text: string): Promise<boolean> =>
            String(await client.call('CLUSTER', 'INFO')).includes(text);
        await until(async () => String(await one.call('CLUSTER', 'NODES')).includes(target), 10_000);
        await until(() => knows(one, 'cluster_state:ok'), 10_000);
        await Promise.all([ended(one), ended(other)]);
    });
    suiteTeardown(async () => {
        await Promise.all((servers ?? []).map((server) => server.stop()));
    });
    setup(async () => {
        scene = await ScriptScene.on(servers[0] ?? assert.fail());
        clock = clockOfSlot(scene.key);
    });
    teardown(async () => {
        await scene.client.call('CLUSTER', 'SETSLOT', String(slotOf(scene.key)), 'STABLE');
        await scene.end();
    });

    async function leaving(): Promise<void> {
        await scene.client.call('CLUSTER', 'SETSLOT', String(slotOf(scene.key)), 'MIGRATING', target);
    }

    /** Does it, or is refused. */
    async function run<Answer>(
        script: Script<Answer>,
        args: readonly string[],
        before: readonly string[],
    ): Promise<Answer | undefined> {
        // As clients that do not share a key name them.
        const item = { keys: [scene.key, scene.queue, scene.waiters, scene.waiters], args };
        const [answer] = await script.run(scene.client, [item], { clock, before }).catch((error: unknown) => {
            assert.include(['TRYAGAIN', 'ASK', 'NONLOCAL'], saidBy(error), String(error));
            return [undefined];
        });
        if (answer instanceof ScriptError)
            assert.include(['TRYAGAIN', 'ASK', 'NONLOCAL'], saidBy(answer), answer.message);
        return answer instanceof ScriptError ? undefined : answer;
    }

    function wait(id: string): Promise<AcquireQueuedReply | undefined> {
        return run(acquireQueuedScript, [id, String(TTL), '0'], [scene.channel]);
    }

    type Act = (holder: string, ids: readonly string[]) => Promise<unknown>;
    const acts: readonly (readonly [what: string, act: Act])[] = [
        ['a release', (holder) => run(releaseQueuedScript, [holder, '', '0'], [''])],
        ['a release that leaves a pause', (holder) => run(releaseQueuedScript, [holder, '', '0'], ['50'])],
        ['a release that buries', (holder) => run(releaseQueuedScript, [holder, newId(), '1'], [''])],
        ['a give-up of the first', (_, [first = newId()]) => run(releaseQueuedScript, ['', first, '1'], [''])],
        ['a give-up of the last', (_, ids) => run(releaseQueuedScript, ['', ids.at(-1) ?? newId(), '1'], [''])],
        ['a heartbeat', (_, [first = newId()]) => run(acquireQueuedScript, [first, String(TTL), '1'], [scene.channel])],
        ['a newcomer', () => wait(newId())],
        ['a plain try', () => run(acquireQueuedScript, [newId(), String(TTL), ''], [scene.channel])],
        [
            'a claim',
            async (holder, [first = newId()]) => {
                await run(releaseQueuedScript, [holder, '', '0'], ['']);
                await run(acquireQueuedScript, [first, String(TTL), '1'], [scene.channel]);
            },
        ],
    ];

    for (const waiters of [0, 1, 3]) {
        for (const [what, act] of acts) {
            test(`is refused or done whole: ${what} with ${waiters} in line`, async () => {
                const id = newId();
                const [granted] = await acquireScript.run(
                    scene.client,
                    [{ keys: [scene.key, scene.queue], args: [id, String(TTL)] }],
                    { clock },
                );
                if (granted === undefined || granted instanceof ScriptError) assert.fail(String(granted));
                if (granted.kind !== 'granted') assert.fail(granted.kind);
                const holder = holderOf(id, granted.fence);
                const ids = Array.from({ length: waiters }, () => newId());
                for (const one of ids) assert.strictEqual((await wait(one))?.kind, 'busy');
                await leaving();
                const done = (await act(holder, ids)) !== undefined;
                await scene.client.call('CLUSTER', 'SETSLOT', String(slotOf(scene.key)), 'STABLE');
                const current = await scene.client.get(scene.key);
                await scene.client.publish(scene.channel, 'grant\n1+0\n1\nend:\nend');
                const grants = (await ends(scene)).filter((message) => message.kind === 'grant');
                // Who was told of a grant has the key, or has given it back since.
                for (const { fence, id: told } of grants) assert.strictEqual(current, `${told}${fence}`);
                // All keys are there that it needs.
                if (what === 'a release' && waiters > 0) {
                    assert.isTrue(done);
                    assert.lengthOf(grants, 1);
                }
                const owners = [id, ...ids].filter((one) => current?.startsWith(one) === true);
                assert.lengthOf(owners, current === null ? 0 : 1);
                // Those who are in line are served in the end.
                if (current !== null) await run(releaseQueuedScript, [current, '', '0'], ['']);
                for (const one of ids) {
                    const answer = await run(acquireQueuedScript, [one, String(TTL), '1'], [scene.channel]);
                    if (answer?.kind === 'busy') assert.notStrictEqual(answer.holder, holder);
                }
            });
        }
    }
});
