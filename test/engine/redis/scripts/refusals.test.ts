import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { newId } from '../../../../src/engine/port/holder';
import { CLAIM_WINDOW } from '../../../../src/engine/port/protocol';
import { acquireQueuedScript, acquireScript } from '../../../../src/engine/redis/scripts/acquire';
import { releaseQueuedScript, releaseScript } from '../../../../src/engine/redis/scripts/release';
import { ScriptError } from '../../../../src/engine/redis/scripts/Script';
import type { Script, ScriptFrame, ScriptItem } from '../../../../src/engine/redis/scripts/Script';
import { RedisServer } from '../../../fixtures/RedisServer';
import { skipWithoutRedis } from '../../../fixtures/sharedServer';
import { ended, ownClient } from '../../clientOf';
import { ScriptScene, TTL } from './ScriptScene';

/** The commands that the scripts write with. */
const WRITES = ['set', 'del', 'pexpire', 'zadd', 'zrem', 'hset', 'hdel'];

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
            const item = { keys: scene.keys, args: [holder, '', '0'] };
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

    test('(del) releases all the same when somebody waits', async () => {
        const { holder } = await scene.held();
        await scene.wait(newId());
        const item = { keys: scene.keys, args: [holder, '', '0'] };
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
        assert.deepEqual(await scene.giveBack({ holder }), { released: true, window: 0 });
        assert.isNull(await scene.client.get(scene.key));
        assert.deepEqual(await scene.messages(1), [{ kind: 'first', key: scene.key, id, taken: 0 }]);
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
