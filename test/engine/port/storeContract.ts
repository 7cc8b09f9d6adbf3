import { assert } from 'chai';
import type { Share } from '../../../src/engine/port/LockStore';
import { acquireFrom } from '../../fixtures/asks';
import { rejection } from '../../fixtures/rejection';
import { acquiring } from './contract/acquiring';
import { foreigners, unwatched, watched } from './contract/foreigners';
import { givingUp, tellingTheNext } from './contract/givingUp';
import { downgrading } from './contract/downgrading';
import { handingOn } from './contract/handingOn';
import { keeping } from './contract/keeping';
import { limiting, notLimiting } from './contract/limiting';
import { inspecting, listing } from './contract/reading';
import { releasing, telling } from './contract/releasing';
import { renewing } from './contract/renewing';
import { Scene, TTL } from './contract/Scene';
import type { StoreWorld } from './contract/Scene';
import { sharing } from './contract/sharing';
import { waiting } from './contract/waiting';

export type { StoreWorld } from './contract/Scene';

export interface StoreFacts {
    /** Whether waiters are woken by messages; else they poll. */
    readonly wakes: boolean;
    /** Whether a holder that is no user of this library is looked out for. */
    readonly watches: boolean;
    /**
     * It is a quorum: a message about a grant is only a hint. And it tells the attempts of an acquisition apart: the last one has the key,
     * with a fence of its own.
     */
    readonly isQuorum?: boolean;
}

const KEYS = ['a}b', '{}x', '{a', 'a{}b', '}{', '{x}y', 'a b', 'two\nlines', ':', '\0', 'ключ', '🔒', 'k'.repeat(5000)];
const HOLDERS = ['two words', 'host:1:x', '}{', '{x}', 'владелец', '🔑', '1', 'x123', 'h'.repeat(1000)];

/** Alone, and with the only permit that there is: that must make no difference but to the value of the key. */
const KINDS: readonly (readonly [name: string, share: Share | undefined])[] = [
    ['', undefined],
    [' of one permit', { limit: 1, permits: 1 }],
];

/** Declares what every store must do. Keys are new in each test, so that a server may be shared. */
export function storeContract(name: string, facts: StoreFacts, open: () => Promise<StoreWorld>): void {
    const { isQuorum = false, wakes, watches } = facts;
    for (const [kind, share] of isQuorum ? KINDS.slice(0, 1) : KINDS) {
        const scene = new Scene(open, isQuorum, share);
        suite(`${name} as a lock store${kind}`, () => {
            setup(() => scene.setUp());
            teardown(() => scene.tearDown());

            suite('acquire', () => acquiring(scene));
            suite('waiting', () => waiting(scene));
            suite('release', () => {
                releasing(scene);
                if (wakes) telling(scene);
            });
            suite('renew', () => renewing(scene));
            suite('a hand-off', () => handingOn(scene));
            suite('giving up', () => {
                givingUp(scene);
                if (wakes) tellingTheNext(scene);
            });
            suite('a key that is released early', () => keeping(scene));
            oddities(scene, wakes);
        });
    }
    const scene = new Scene(open, isQuorum);
    suite(`${name} as a lock store`, () => {
        setup(() => scene.setUp());
        teardown(() => scene.tearDown());

        suite('sharing', () => sharing(scene));
        suite('downgrade', () => downgrading(scene));
        suite('limits', () => (isQuorum ? notLimiting(scene) : limiting(scene)));
        suite('a foreign holder', () => {
            foreigners(scene);
            if (watches) watched(scene);
            else unwatched(scene);
        });
        suite('list', () => listing(scene));
        suite('inspect', () => inspecting(scene));

        test('tells whether waiters are woken', () => {
            assert.strictEqual(scene.store.wakes, wakes);
        });

        test('refuses everything after close', async () => {
            const { key, store } = scene;
            await store.close();
            await rejection(acquireFrom(store, scene.request('a')), 'CLOSED');
            await rejection(store.renew(key, 'a', TTL), 'CLOSED');
            await rejection(store.downgrade(key, 'a', TTL), 'CLOSED');
            await rejection(scene.release({ holder: 'a' }), 'CLOSED');
            await rejection(scene.giveUp('a', true), 'CLOSED');
            await rejection(store.inspect(key), 'CLOSED');
        });

        test('is closed twice without harm', async () => {
            await scene.store.close();
            await scene.store.close();
        });
    });
}

/** Keys and holders of every kind. */
function oddities(scene: Scene, wakes: boolean): void {
    for (const odd of KEYS) {
        test(`works with the key ${JSON.stringify(odd.slice(0, 10))}`, async () => {
            scene.key = `${odd}${scene.key}`;
            const a = await scene.granted('a');
            await scene.wait('b');
            await scene.wait('c');
            await scene.release(a);
            if (wakes) assert.strictEqual((await scene.grantOf('b')).key, scene.key);
            const claim = await scene.granted('b', { ticket: 0 });
            assert.deepInclude(await scene.store.inspect(scene.key), { key: scene.key, fence: claim.fence });
            assert.deepEqual(await scene.store.renew(scene.key, a.holder, TTL), { kind: 'gone' });
            await scene.giveUp('c', true);
            assert.strictEqual(await scene.release(claim), 'released');
            assert.isUndefined(await scene.world.get(scene.key));
        });
    }

    for (const odd of HOLDERS) {
        test(`works with the holder ${JSON.stringify(odd.slice(0, 10))}`, async () => {
            const a = await scene.granted('a');
            await scene.wait(`b of ${odd}`);
            await scene.release(a);
            assert.strictEqual(await scene.value(), odd);
            if (wakes) await scene.grantOf(`b of ${odd}`);
            const claim = await scene.granted(`b of ${odd}`, { ticket: 0 });
            assert.strictEqual(await scene.release(claim), 'released');
        });
    }
}
