import { assert } from 'chai';
import { newId } from '../../../../src/engine/port/holder';
import { acquireQueuedScript, acquireScript, acquireSharedScript } from '../../../../src/engine/redis/scripts/acquire';
import { downgradeScript } from '../../../../src/engine/redis/scripts/downgrade';
import { inspectScript } from '../../../../src/engine/redis/scripts/inspect';
import { parseMessage } from '../../../../src/engine/redis/scripts/message';
import { permissionsScript } from '../../../../src/engine/redis/scripts/permissions';
import { raiseScript } from '../../../../src/engine/redis/scripts/raise';
import { releaseQueuedScript, releaseScript, releaseSharedScript } from '../../../../src/engine/redis/scripts/release';
import { renewScript, renewSharedScript } from '../../../../src/engine/redis/scripts/renew';
import type { Script } from '../../../../src/engine/redis/scripts/Script';
import { rejection } from '../../../fixtures/rejection';
import { sharedServer } from '../../../fixtures/sharedServer';
import { ScriptScene } from './ScriptScene';

suite('renew.lua', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    test('lengthens a lease, and never shortens it', async () => {
        const { holder } = await scene.held();
        assert.strictEqual(await scene.renew(holder, 50_000), 'renewed');
        assert.isAbove(await scene.client.pttl(scene.key), 30_000);
        assert.strictEqual(await scene.renew(holder, 1000), 'renewed');
        assert.isAbove(await scene.client.pttl(scene.key), 30_000);
    });

    test('leaves a key that never expires so', async () => {
        const { holder } = await scene.held();
        await scene.client.persist(scene.key);
        assert.strictEqual(await scene.renew(holder, 1000), 'renewed');
        assert.strictEqual(await scene.client.pttl(scene.key), -1);
    });

    test('leaves alone what is absent, or another holder has', async () => {
        assert.strictEqual(await scene.renew('mine', 1000), 'gone');
        assert.deepEqual(await scene.left(), []);
        const { holder, id } = await scene.held();
        for (const other of [id, `${holder}1`, 'mine']) assert.strictEqual(await scene.renew(other, 50_000), 'gone');
        assert.isBelow(await scene.client.pttl(scene.key), 30_000);
    });
});

suite('inspect.lua', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    test('tells that a key is free', async () => {
        assert.deepInclude(await scene.inspect(), { holder: '', remaining: -2, waiters: [] });
    });

    test('tells the holder, its ttl, and who waits for how long, in order', async () => {
        const { holder } = await scene.held();
        const ids = [newId(), newId(), newId()];
        for (const id of ids) await scene.wait(id);
        await scene.die(ids[1] ?? '');
        await scene.giveBack({ id: newId(), underWay: true });
        const info = await scene.inspect();
        assert.strictEqual(info.holder, holder);
        assert.isTrue(info.remaining > 0 && info.remaining <= 20_000);
        assert.deepEqual(
            info.waiters.map(({ id }) => id),
            [ids[0], ids[2]],
        );
        for (const { waited } of info.waiters) assert.isTrue(waited >= 0 && waited < 60_000);
        assert.isAtMost(info.now, await scene.micros());
    });

    test('tells -1 of a key that never expires, also where it is empty', async () => {
        await scene.client.set(scene.key, '');
        assert.deepInclude(await scene.inspect(), { holder: '', remaining: -1 });
    });

    test('looks at the first bytes of a key only, where it is told so', async () => {
        await scene.client.set(scene.key, 'x'.repeat(100_000));
        assert.lengthOf((await scene.inspect('511')).holder, 512);
    });
});

suite('raise.lua', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    function raise(id: string, fence: number): Promise<boolean> {
        return scene.run(raiseScript, { keys: [scene.key, scene.sharers], args: [id, String(fence)] });
    }

    test('writes a fence to the key and the clock, and keeps the ttl', async () => {
        const { fence, id } = await scene.held();
        assert.isTrue(await raise(id, fence + 1000));
        assert.strictEqual(await scene.client.get(scene.key), `${id}${fence + 1000}`);
        assert.strictEqual(await scene.client.get(scene.clock), String(fence + 1000));
        assert.isAbove(await scene.client.pttl(scene.key), 5000);
    });

    test('writes nothing when another attempt has the key, or nobody', async () => {
        assert.isFalse(await raise(newId(), 1));
        const { fence, holder, id } = await scene.held();
        assert.isFalse(await raise(`${id}2:`, fence + 1000));
        assert.strictEqual(await scene.client.get(scene.key), holder);
        assert.strictEqual(await scene.client.get(scene.clock), String(fence));
    });

    test('does not set the clock back', async () => {
        const { fence, id } = await scene.held();
        await scene.client.set(scene.clock, String(fence + 5000));
        assert.isTrue(await raise(id, fence + 1000));
        assert.strictEqual(await scene.client.get(scene.clock), String(fence + 5000));
    });
});

suite('Script', () => {
    let scene: ScriptScene;
    const all: readonly Script<unknown>[] = [
        acquireScript,
        acquireQueuedScript,
        acquireSharedScript,
        releaseScript,
        releaseQueuedScript,
        releaseSharedScript,
        renewScript,
        renewSharedScript,
        downgradeScript,
        inspectScript,
        raiseScript,
        permissionsScript,
    ];

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    for (const script of all) {
        test(`${script.name} loads under the hash that it is run by, and begins with its name`, async () => {
            assert.strictEqual(await scene.client.script('LOAD', script.lua), script.sha);
            assert.match(script.lua, new RegExp(`^-- redis-lock \\d+\\.\\d+\\.\\d+: ${script.name}\n`));
        });

        for (const reply of [null, 'OK', [], [1, 1], [-7], [1.5], [[[]]], [{}]]) {
            test(`${script.name} refuses the reply ${JSON.stringify(reply)}`, async () => {
                if (script === permissionsScript && JSON.stringify(reply) === '[[[]]]') return;
                const odd = { evalsha: () => Promise.resolve(reply), eval: () => Promise.resolve(reply) };
                const error = await rejection(script.run(odd, [{ keys: [], args: [] }]));
                assert.include(error.message, script.name);
            });
        }
    }

    test('sends its text only when the server does not have it', async () => {
        const sent: string[] = [];
        const counting = {
            evalsha: (...args: [string, number, ...string[]]) => {
                sent.push('evalsha');
                return scene.client.evalsha(...args);
            },
            eval: (...args: [string, number, ...string[]]) => {
                sent.push('eval');
                return scene.client.eval(...args);
            },
        };
        await scene.client.script('FLUSH');
        const item = { keys: [scene.key], args: ['mine', '1000'] };
        await renewScript.run(counting, [item]);
        await renewScript.run(counting, [item]);
        assert.deepEqual(sent.slice(0, 2), ['evalsha', 'eval']);
    });

    test('passes on an error that concerns all items', async () => {
        const refusing = {
            evalsha: () => Promise.reject(new Error('NOPERM this user has no permissions')),
            eval: () => Promise.reject(new Error('It must not be sent.')),
        };
        const error = await rejection(renewScript.run(refusing, [{ keys: [scene.key], args: ['a', '1'] }]));
        assert.match(error.message, /^NOPERM/);
    });
});

suite('A message', () => {
    test('of a grant is read', () => {
        const message = { kind: 'grant', key: 'k', id: 'host:1:x:', ttl: 2000, fence: 123, spare: 8 } as const;
        assert.deepEqual(parseMessage('grant\n2000+8\n123\nhost:1:x:\nk'), message);
    });

    test('to the first in line is read, also of an owner, and about a key of several lines', () => {
        assert.deepEqual(parseMessage('first\n1500\n0\nmine\rid\ntwo\nlines\n'), {
            kind: 'first',
            key: 'two\nlines\n',
            id: 'mine\rid',
            taken: 1500,
        });
    });

    for (const text of [
        '',
        'there\n0\n0\nhost:1:x:\nk',
        'grant',
        'grant\n1\n2\n3',
        'else\n1\n2\n3\n4',
        'grant\nx\n2\n3\n4',
    ]) {
        test(`that is ${JSON.stringify(text)} is none`, () => {
            assert.isUndefined(parseMessage(text));
        });
    }
});
