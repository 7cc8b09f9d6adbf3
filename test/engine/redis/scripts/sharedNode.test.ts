import { assert } from 'chai';
import { newId } from '../../../../src/engine/port/holder';
import {
    acquireNodeScript,
    acquireQueuedNodeScript,
    acquireSharedNodeScript,
} from '../../../../src/engine/redis/scripts/acquire';
import type { AcquireQueuedReply, AcquireReply } from '../../../../src/engine/redis/scripts/acquire';
import { downgradeNodeScript } from '../../../../src/engine/redis/scripts/downgrade';
import { raiseScript } from '../../../../src/engine/redis/scripts/raise';
import { releaseQueuedNodeScript, releaseSharedNodeScript } from '../../../../src/engine/redis/scripts/release';
import type { ReleaseQueuedReply, ReleaseReply } from '../../../../src/engine/redis/scripts/release';
import { renewSharedNodeScript } from '../../../../src/engine/redis/scripts/renew';
import type { RenewReply } from '../../../../src/engine/redis/scripts/renew';
import { sharedServer } from '../../../fixtures/sharedServer';
import { ScriptScene, TTL } from './ScriptScene';

/** As names.ts of the quorum tells. */
const nameOf = (chosen?: string): string => `${chosen === undefined ? '' : `${chosen}#`}${newId().slice(0, -1)}`;

suite('A node of a quorum, where several share a key,', () => {
    let scene: ScriptScene;

    setup(async () => void (scene = await ScriptScene.on(await sharedServer())));
    teardown(() => scene.end());

    const hint = { after: ['0'] };

    function join(id: string, ttl: number = TTL): Promise<AcquireReply> {
        return scene.run(acquireSharedNodeScript, { keys: scene.keys, args: [id, `${ttl}*1`] }, hint);
    }

    function ask(id: string, request = `${TTL}*1`, ticket = ''): Promise<AcquireQueuedReply> {
        const frame = { before: [scene.channel], ...hint };
        return scene.run(acquireQueuedNodeScript, { keys: scene.keys, args: [id, request, ticket] }, frame);
    }

    function leave(holder: string): Promise<ReleaseReply> {
        return scene.run(releaseSharedNodeScript, { keys: scene.keys, args: [holder] });
    }

    function giveUp(id: string): Promise<ReleaseQueuedReply> {
        const frame = { before: [''], ...hint };
        return scene.run(releaseQueuedNodeScript, { keys: scene.keys, args: ['', id, '0', ''] }, frame);
    }

    function renew(holder: string): Promise<RenewReply> {
        const item = { keys: [scene.key, scene.sharers], args: [holder, String(TTL)] };
        return scene.run(renewSharedNodeScript, item);
    }

    async function fenceOf(granting: Promise<AcquireReply | AcquireQueuedReply>): Promise<number> {
        const answer = await granting;
        return answer.kind === 'granted' ? answer.fence : assert.fail(answer.kind);
    }

    async function holders(): Promise<string[]> {
        return (await scene.inspect()).holders.map(({ holder }) => holder);
    }

    test('has one place for all attempts of an acquisition, under the last one', async () => {
        const name = nameOf();
        const first = await fenceOf(join(`${name}#1:`));
        assert.deepEqual(await holders(), [`${name}#1:${first}`]);
        assert.deepInclude(await join(`${name}#2:`), { kind: 'taken', holder: `${name}#2:` });
        const second = await fenceOf(ask(`${name}#2:`));
        assert.isAbove(second, first);
        assert.deepEqual(await holders(), [`${name}#2:${second}`]);
        assert.deepEqual(await ask(`${name}#1:`), { kind: 'refused' });
    });

    test('gives back by the attempt only what that attempt has, and by the name whatever any has', async () => {
        const [one, other] = [nameOf(), nameOf()];
        await join(`${one}#2:`);
        await join(`${other}#1:`);
        assert.deepInclude(await giveUp(`${one}#1:`), { released: false });
        assert.deepInclude(await giveUp(`${one}#2:`), { released: true });
        assert.lengthOf(await holders(), 1);
        assert.strictEqual(await leave(`${other}#2:7`), 'gone');
        assert.strictEqual(await leave(other), 'released');
        assert.deepEqual(await scene.left(), []);
    });

    test('finds an attempt by its holder, with any fence', async () => {
        const name = nameOf();
        await join(`${name}#3:`, 5000);
        assert.strictEqual(await renew(`${name}#2:`), 'gone');
        for (const holder of [`${name}#3:`, `${name}#3:7`, name]) assert.strictEqual(await renew(holder), 'renewed');
        assert.isAbove(await scene.client.pttl(scene.key), 5000);
        assert.strictEqual(await leave(`${name}#3:7`), 'released');
    });

    test('finds what an owner has by the holder that it has chosen', async () => {
        const [one, other, another] = [nameOf('mine'), nameOf('mine'), nameOf('min')];
        for (const name of [one, other, another]) await join(`${name}#1:`);
        assert.strictEqual(await renew('mine'), 'renewed');
        assert.strictEqual(await leave('mine'), 'released');
        assert.isTrue((await holders())[0]?.startsWith(another));
        assert.deepInclude(await giveUp(`${another}:`), { released: false });
        assert.deepInclude(await giveUp(`${another}#1:`), { released: true });
    });

    test('lets those in who wait in line, each under the name of its acquisition', async () => {
        const [writer, reader] = [nameOf(), nameOf()];
        await fenceOf(
            scene.run(acquireNodeScript, { keys: scene.keys.slice(0, 2), args: [`${writer}#1:`, String(TTL)] }, hint),
        );
        assert.strictEqual((await ask(`${reader}#1:`, `${TTL}*1`, '0')).kind, 'busy');
        const frame = { before: [''], ...hint };
        const item = { keys: scene.keys, args: [writer, '', '0', ''] };
        assert.deepInclude(await scene.run(releaseQueuedNodeScript, item, frame), { released: true });
        const [held] = await holders();
        assert.match(held ?? '', new RegExp(`^${reader}:\\d+$`));
        // It claims by its next attempt.
        const fence = await fenceOf(ask(`${reader}#2:`));
        assert.deepEqual(await holders(), [`${reader}#2:${fence}`]);
    });

    test('writes a greater fence for the attempt that has the place', async () => {
        const name = nameOf();
        const fence = await fenceOf(join(`${name}#1:`));
        const raise = (id: string, to: number): Promise<boolean> =>
            scene.run(raiseScript, { keys: [scene.key, scene.sharers], args: [id, String(to)] });
        assert.isFalse(await raise(`${name}#2:`, fence + 1000));
        assert.isTrue(await raise(`${name}#1:`, fence + 1000));
        assert.deepEqual(await holders(), [`${name}#1:${fence + 1000}`]);
        assert.strictEqual(await scene.client.get(scene.clock), String(fence + 1000));
    });

    test('shares a key under the attempt and the fence that had it alone', async () => {
        const name = nameOf();
        const item = { keys: scene.keys.slice(0, 2), args: [`${name}#4:`, String(TTL)] };
        const fence = await fenceOf(scene.run(acquireNodeScript, item, hint));
        const downgrade = { keys: scene.keys, args: [`${name}#4:`, String(TTL)] };
        assert.deepInclude(await scene.run(downgradeNodeScript, downgrade, hint), { done: true });
        assert.deepEqual(await holders(), [`${name}#4:${fence}`]);
        assert.deepInclude(await scene.run(downgradeNodeScript, downgrade, hint), { done: true });
        assert.strictEqual(await leave(name), 'released');
    });
});
