import { assert } from 'chai';
import type { LockError } from '../../../../src/engine/port/errors';
import type { Granted, RenewAnswer } from '../../../../src/engine/port/LockStore';
import { TTL } from './Scene';
import type { Scene } from './Scene';

/** What renew must do. */
export function renewing(scene: Scene): void {
    test('lengthens the lease from its send', async () => {
        const { holder } = await scene.granted('a', { ttl: 5000 });
        const before = scene.world.clock.now();
        const answer = await scene.store.renew(scene.key, holder, TTL);
        if (answer.kind !== 'renewed') assert.fail('It is gone.');
        assert.isAtLeast(answer.deadline, before + 0.99 * TTL - 2);
        assert.isAtMost(answer.deadline, scene.world.clock.now() + 0.99 * TTL - 2);
        assert.isAbove((await scene.store.inspect(scene.key)).remaining, TTL / 2);
    });

    test('never shortens it', async () => {
        const { holder } = await scene.granted('a');
        await scene.store.renew(scene.key, holder, 100);
        assert.isAbove((await scene.store.inspect(scene.key)).remaining, TTL / 2);
    });

    test('never creates it again', async () => {
        const a = await scene.granted('a');
        await scene.release(a);
        assert.deepEqual(await scene.store.renew(scene.key, a.holder, TTL), { kind: 'gone' });
        assert.isUndefined(await scene.world.get(scene.key));
    });

    test('leaves alone what somebody else has', async () => {
        const { holder } = await scene.granted('a', { ttl: 5000 });
        const other = scene.comparesFences ? holder.slice(0, -1) : holder.slice(1);
        assert.deepEqual(await scene.store.renew(scene.key, other, TTL), { kind: 'gone' });
        assert.deepEqual(await scene.store.renew(scene.key, 'b', TTL), { kind: 'gone' });
        assert.isAtMost((await scene.store.inspect(scene.key)).remaining, 5000);
    });

    test('goes on beside those of many other keys, each answered by itself', async () => {
        const answers = await Promise.all((await held()).map(({ key, holder }) => scene.store.renew(key, holder, TTL)));
        assert.deepEqual(
            answers.map(({ kind }) => kind),
            answers.map((_, at) => (at % 2 === 0 ? 'renewed' : 'gone')),
        );
    });

    test('of several at once answers each by itself', async () => {
        const keys = await held();
        const before = scene.world.clock.now();
        for (const [at, answer] of (await renewAll(keys)).entries()) {
            if (answer instanceof Error) throw answer;
            assert.strictEqual(answer.kind, at % 2 === 0 ? 'renewed' : 'gone');
            if (answer.kind === 'gone') continue;
            assert.isAtLeast(answer.deadline, before + 0.99 * TTL - 2);
            assert.isAtMost(answer.deadline, scene.world.clock.now() + 0.99 * TTL - 2);
        }
        assert.isAbove((await scene.store.inspect(`${scene.key}:0`)).remaining, 0.9 * TTL);
    });

    test('of several at once says why there is no answer', async () => {
        await scene.store.close();
        const keys = [scene.key, `${scene.key}:2`].map((key) => ({ key, holder: 'a' }));
        for (const answer of await renewAll(keys)) assert.include(answer, { code: 'CLOSED' });
    });

    /** Of many keys every second one. */
    function held(): Promise<{ readonly key: string; readonly holder: string }[]> {
        const free: Pick<Granted, 'holder'> = { holder: 'a' };
        return Promise.all(
            Array.from({ length: 50 }, async (_, at) => {
                const key = `${scene.key}:${at}`;
                const { holder } = at % 2 === 0 ? await scene.granted('a', { key }) : free;
                return { key, holder };
            }),
        );
    }

    /** Settles with the answers in the order of the keys. */
    function renewAll(
        keys: readonly { readonly key: string; readonly holder: string }[],
    ): Promise<(RenewAnswer | LockError)[]> {
        return new Promise((resolve) => {
            const answers = new Map<string, RenewAnswer | LockError>();
            const renewals = keys.map(({ key, holder }) => ({
                key,
                holder,
                ttl: TTL,
                answered(answer: RenewAnswer | LockError): void {
                    answers.set(key, answer);
                    if (answers.size === keys.length) resolve(keys.map((one) => answers.get(one.key) ?? assert.fail()));
                },
            }));
            scene.store.renewAll(renewals);
        });
    }
}
