import { assert } from 'chai';
import { LockError } from '../../../src/engine/port/errors';
import type { LockErrorCode } from '../../../src/engine/port/errors';
import { answerWith } from '../../../src/engine/port/LockStore';
import type {
    AcquireAnswer,
    AcquireRequest,
    Asker,
    LockInfo,
    ReleaseAnswer,
    ReleaseRequest,
    RenewAnswer,
    StoreListener,
} from '../../../src/engine/port/LockStore';
import { QuorumStore } from '../../../src/engine/quorum/QuorumStore';
import type { QuorumNode } from '../../../src/engine/quorum/NodeSet';
import { acquireFrom, releaseTo } from '../../fixtures/asks';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock, settled } from '../../fixtures/VirtualClock';

const never = new Promise<never>(() => undefined);

/** A node that says what it is told to say. */
function info(key: string, holder: string | undefined = 'a', remaining = 300): LockInfo {
    return { key, holder, remaining, fence: 3, held: undefined, waiters: [] };
}

class Node implements QuorumNode {
    isReady = true;
    readonly wakes = true;
    readonly log: string[] = [];
    listener: StoreListener | undefined;
    closed = false;
    onOpen: () => Promise<void> = () => Promise.resolve();
    onAcquire: (request: AcquireRequest) => Promise<AcquireAnswer> = () => never;
    onRaise: () => Promise<boolean> = () => Promise.resolve(true);
    onRenew: () => Promise<RenewAnswer> = () => Promise.resolve({ kind: 'gone' });
    onRelease: () => Promise<ReleaseAnswer> = () => Promise.resolve('gone');
    onInspect: () => Promise<LockInfo> = () => never;
    onList: () => Promise<string[]> = () => Promise.resolve([]);

    open(listener: StoreListener): Promise<void> {
        this.listener = listener;
        return this.onOpen();
    }
    close(): Promise<void> {
        this.closed = true;
        return Promise.resolve();
    }
    acquire(request: AcquireRequest, asker: Asker<AcquireAnswer>): void {
        this.log.push('acquire');
        answerWith(this.onAcquire(request), request, asker);
    }
    raise(): Promise<boolean> {
        this.log.push('raise');
        return this.onRaise();
    }
    renew(): Promise<RenewAnswer> {
        this.log.push('renew');
        return this.onRenew();
    }
    release(request: ReleaseRequest, asker: Asker<ReleaseAnswer>): void {
        this.log.push('release');
        answerWith(this.onRelease(), request, asker);
    }
    giveUp(): Promise<ReleaseAnswer> {
        this.log.push('giveUp');
        return this.onRelease();
    }
    handOn(): Promise<void> {
        return Promise.resolve();
    }
    inspect(): Promise<LockInfo> {
        this.log.push('inspect');
        return this.onInspect();
    }
    async *list(): AsyncIterable<LockInfo> {
        for (const key of await this.onList()) yield info(key);
    }
    watch(): Promise<boolean> {
        return Promise.resolve(true);
    }
}

const REQUEST: AcquireRequest = { key: 'key', holder: 'me', id: 'me', ttl: 1000, ticket: undefined };
const LINED: AcquireRequest = { ...REQUEST, ticket: 0 };

suite('QuorumStore', () => {
    let clock: VirtualClock;
    let nodes: readonly [Node, Node, Node];
    let store: QuorumStore;
    let told: string[];

    setup(async () => {
        clock = new VirtualClock();
        nodes = [new Node(), new Node(), new Node()];
        store = new QuorumStore(nodes, { nodeTimeout: 100, longestTtl: 10_000 }, clock);
        told = [];
        await store.open({
            granted: (_key, id, _fence, ttl) => told.push(`granted ${id} ${ttl}`),
            first: () => told.push('first'),
            handedOn: () => told.push('handedOn'),
            changed: () => told.push('changed'),
            reconnected: () => told.push('reconnected'),
            disconnected: () => told.push('disconnected'),
            recovered: () => told.push('recovered'),
            warned: () => told.push('warned'),
        });
    });

    function granted(fence: number, after = 0): () => Promise<AcquireAnswer> {
        return async () => {
            const deadline = clock.now() + 900;
            if (after > 0) await new Promise<void>((resolve) => clock.timer(after, resolve));
            return { kind: 'granted', fence, deadline };
        };
    }

    function busy(rank = 0): () => Promise<AcquireAnswer> {
        const answer = {
            kind: 'busy',
            remaining: 800,
            fence: 1,
            ticket: 7,
            rank,
            foreign: false,
            holder: 'other',
        } as const;
        return () => Promise.resolve({ ...answer, sentAt: clock.now() });
    }

    function failed(code: LockErrorCode = 'CONNECTION_FAILED'): () => Promise<never> {
        return () => Promise.reject(new LockError(code, code, { unknown: true }));
    }

    /** Lets time pass until it is settled. */
    async function eventually<T>(promise: Promise<T>, longest = 5000): Promise<T> {
        let done = false;
        const mark = (): void => void (done = true);
        promise.then(mark, mark);
        for (let passed = 0; !done && passed < longest; passed += 10) await clock.advance(10);
        assert.isTrue(done, 'It takes too long.');
        return promise;
    }

    function counts(what: string): number[] {
        return nodes.map(({ log }) => log.filter((one) => one === what).length);
    }

    test('takes back a grant whose fence could not be stored at a quorum', async () => {
        nodes[0].onAcquire = granted(5);
        nodes[1].onAcquire = granted(9);
        nodes[0].onRaise = () => Promise.resolve(false);
        const error = await rejection(eventually(acquireFrom(store, REQUEST)), 'NO_QUORUM');
        assert.isTrue(error.unknown);
        assert.deepEqual(counts('raise'), [1, 0, 0]);
        assert.deepEqual(counts('giveUp'), [1, 1, 1]);
    });

    test('takes back a grant that came when its lease was nearly over', async () => {
        store = new QuorumStore(nodes, { nodeTimeout: 2000, longestTtl: 10_000 }, clock);
        for (const node of nodes) node.onAcquire = granted(5, 950);
        await rejection(eventually(acquireFrom(store, REQUEST)), 'NO_QUORUM');
        assert.deepEqual(counts('giveUp'), [1, 1, 1]);
    });

    test('lets the next in line try when others have votes that are needed for too long', async () => {
        nodes[0].onAcquire = granted(5);
        nodes[1].onAcquire = busy();
        nodes[2].onAcquire = busy();
        const answer = await eventually(acquireFrom(store, { ...LINED, ticket: 3 }));
        if (answer.kind !== 'busy') assert.fail();
        assert.deepInclude(answer, { ticket: 3, rank: 0, remaining: 100 });
        assert.strictEqual(counts('giveUp')[0], 1);
    });

    test('keeps its turn at the lead, and lets go of the others, while it tries again', async () => {
        store = new QuorumStore([...nodes, new Node(), new Node()], { nodeTimeout: 100, longestTtl: 10_000 }, clock);
        nodes[0].onAcquire = granted(5);
        nodes[1].onAcquire = granted(5);
        nodes[2].onAcquire = busy();
        void acquireFrom(store, { ...LINED, ticket: 3 }).catch(() => undefined);
        await clock.advance(250);
        assert.strictEqual(counts('giveUp')[0], 0);
        assert.isAbove(counts('giveUp')[1] ?? 0, 0);
    });

    test('leaves the line where it stood when another node leads', async () => {
        nodes[0].onAcquire = busy(1);
        nodes[1].onAcquire = nodes[2].onAcquire = busy(1);
        await eventually(acquireFrom(store, LINED));
        nodes[0].onAcquire = () => never;
        await eventually(acquireFrom(store, { ...LINED, id: 'a', holder: 'a' }).catch(() => undefined));
        assert.include(told, 'reconnected');
        await settled();
        nodes.forEach(({ log }) => log.splice(0));
        await eventually(acquireFrom(store, { ...LINED, ticket: 7 }));
        await settled();
        assert.deepEqual(counts('giveUp'), [1, 0, 0]);
        assert.deepEqual(counts('acquire'), [0, 1, 0]);
    });

    test('does not take back what it was granted when another node leads later', async () => {
        nodes[0].onAcquire = busy(1);
        nodes[1].onAcquire = nodes[2].onAcquire = granted(5);
        await eventually(acquireFrom(store, LINED));
        nodes[0].onAcquire = granted(5);
        assert.strictEqual((await eventually(acquireFrom(store, { ...LINED, ticket: 7 }))).kind, 'granted');
        nodes[0].isReady = false;
        nodes[0].listener?.disconnected(new Error('test'));
        nodes[0].isReady = true;
        nodes[0].onAcquire = () => never;
        await eventually(acquireFrom(store, { ...REQUEST, id: 'a', holder: 'a' }).catch(() => undefined));
        nodes.forEach(({ log }) => log.splice(0));
        await eventually(acquireFrom(store, LINED));
        assert.strictEqual(counts('giveUp')[0], 0);
    });

    test('gives back at the others what they gave when the lead says no', async () => {
        nodes[0].onAcquire = busy();
        nodes[1].onAcquire = nodes[2].onAcquire = granted(5);
        assert.strictEqual((await eventually(acquireFrom(store, REQUEST))).kind, 'busy');
        await settled();
        assert.deepEqual(counts('giveUp'), [0, 1, 1]);
    });

    test('takes back what it may have got where too few answered', async () => {
        nodes[0].onAcquire = granted(5);
        nodes[1].onAcquire = failed();
        nodes[2].onAcquire = busy();
        // Two of three answered: that is contention.
        void acquireFrom(store, REQUEST).catch(() => undefined);
        await clock.advance(1);
        assert.strictEqual(counts('giveUp')[0], 0);
        nodes.forEach((node) => node.log.splice(0));
        await clock.advance(1000);
        nodes.forEach((node) => node.log.splice(0));
        nodes[0].onAcquire = failed();
        nodes[1].onAcquire = busy();
        nodes[2].onAcquire = granted(5, 20);
        const error = await rejection(eventually(acquireFrom(store, { ...REQUEST, id: 'b' })), 'NO_QUORUM');
        assert.match(error.message, /node 2: is held by another/);
        assert.deepEqual(counts('giveUp'), [1, 1, 1]);
    });

    test('throws what is wrong with the key', async () => {
        for (const node of nodes) node.onAcquire = failed('WRONG_TYPE');
        await rejection(eventually(acquireFrom(store, REQUEST)), 'WRONG_TYPE');
    });

    test('asks no node that is not connected', async () => {
        nodes[2].isReady = false;
        nodes[0].onAcquire = nodes[1].onAcquire = granted(5);
        nodes[0].onRelease = nodes[1].onRelease = () => Promise.resolve('released');
        await eventually(acquireFrom(store, REQUEST));
        assert.strictEqual(await eventually(releaseTo(store, 'key', 'me')), 'released');
        assert.deepEqual(nodes[2].log, []);
    });

    test('relies on a node again when it answers in time, not when it answers late', async () => {
        nodes[0].onAcquire = granted(5, 200);
        nodes[1].onAcquire = nodes[2].onAcquire = granted(5);
        await eventually(acquireFrom(store, REQUEST));
        assert.deepEqual(told, ['reconnected']);
        await clock.advance(500);
        assert.deepEqual(told, ['reconnected']);
        nodes[0].onAcquire = granted(5);
        await eventually(acquireFrom(store, REQUEST));
        assert.deepEqual(told, ['reconnected', 'reconnected']);
    });

    test('asks the next node to lead when the lead does not answer a release', async () => {
        for (const node of nodes) node.onRelease = () => Promise.resolve('released');
        nodes[0].onRelease = () => never;
        await eventually(releaseTo(store, 'key', 'me'));
        await clock.advance(1000);
        assert.deepEqual(told, ['reconnected']);
    });

    test('lets go of the lead last', async () => {
        const order: number[] = [];
        nodes.forEach((node, at) => {
            node.onRelease = async () => {
                order.push(at);
                await new Promise<void>((resolve) => clock.timer(20, resolve));
                order.push(at + 10);
                return 'released';
            };
        });
        await eventually(releaseTo(store, 'key', 'me'));
        assert.deepEqual(
            order,
            [1, 2, 11, 0, 12, 10].filter((one) => order.includes(one)),
        );
        assert.isAbove(order.indexOf(0), order.indexOf(11));
    });

    suite('says what became of', () => {
        const released = (): Promise<ReleaseAnswer> => Promise.resolve('released');
        const gone = (): Promise<ReleaseAnswer> => Promise.resolve('gone');
        const renewed = (): Promise<RenewAnswer> => Promise.resolve({ kind: 'renewed', deadline: clock.now() + 900 });
        const lost = (): Promise<RenewAnswer> => Promise.resolve({ kind: 'gone' });

        test('a release that one node knows of, and two do not', async () => {
            [nodes[0].onRelease, nodes[1].onRelease, nodes[2].onRelease] = [released, gone, gone];
            assert.strictEqual(await eventually(releaseTo(store, 'key', 'me')), 'gone');
        });

        test('a release that is undecided', async () => {
            [nodes[0].onRelease, nodes[1].onRelease, nodes[2].onRelease] = [released, gone, failed()];
            assert.isTrue((await rejection(eventually(releaseTo(store, 'key', 'me')), 'NO_QUORUM')).unknown);
        });

        test('a release whose first answer is not what the others say', async () => {
            [nodes[0].onRelease, nodes[1].onRelease, nodes[2].onRelease] = [released, gone, released];
            assert.strictEqual(await eventually(releaseTo(store, 'key', 'me')), 'released');
        });

        test('a release that was done before', async () => {
            for (const node of nodes) node.onRelease = () => Promise.resolve('already');
            assert.strictEqual(await eventually(releaseTo(store, 'key', 'me')), 'already');
        });

        test('a renewal that is undecided', async () => {
            [nodes[0].onRenew, nodes[1].onRenew, nodes[2].onRenew] = [renewed, lost, failed()];
            assert.isTrue((await rejection(eventually(store.renew('key', 'me', 1000)), 'NO_QUORUM')).unknown);
        });

        test('a renewal whose deadline is that of a quorum', async () => {
            const [first, second] = [clock.now() + 900, clock.now() + 500];
            nodes[0].onRenew = () => Promise.resolve({ kind: 'renewed', deadline: first });
            nodes[1].onRenew = () => Promise.resolve({ kind: 'renewed', deadline: second });
            assert.deepEqual(await eventually(store.renew('key', 'me', 1000)), { kind: 'renewed', deadline: second });
        });

        test('an acquisition that too few nodes gave up', async () => {
            [nodes[0].onRelease, nodes[1].onRelease, nodes[2].onRelease] = [released, failed(), failed()];
            const giving = store.giveUp('key', 'me', 'me', false);
            assert.isTrue((await rejection(eventually(giving), 'NO_QUORUM')).unknown);
        });

        test('a key that one node has differently', async () => {
            const says = (holder: string, remaining: number) => () => Promise.resolve(info('key', holder, remaining));
            [nodes[0].onInspect, nodes[1].onInspect, nodes[2].onInspect] = [
                says('a', 900),
                says('b', 500),
                says('b', 300),
            ];
            assert.deepInclude(await eventually(store.inspect('key')), { holder: 'b', remaining: 300 });
            nodes[2].onInspect = says('c', 300);
            const found = await eventually(store.inspect('key'));
            assert.deepInclude(found, { holder: undefined, remaining: 0 });
        });

        suite('the locks', () => {
            async function listed(): Promise<string[]> {
                const keys: string[] = [];
                for await (const { key } of store.list('*')) keys.push(key);
                return keys.sort();
            }

            setup(() => {
                for (const node of nodes) node.onInspect = () => Promise.resolve(info('key'));
            });

            test('that any of a quorum of nodes names', async () => {
                nodes[0].onList = failed();
                nodes[1].onList = () => Promise.resolve(['a', 'b']);
                nodes[2].onList = () => Promise.resolve(['b', 'c']);
                assert.lengthOf(await eventually(listed()), 3);
            });

            test('not when too few nodes tell theirs', async () => {
                [nodes[0].onList, nodes[1].onList] = [failed(), failed()];
                await rejection(eventually(listed()), 'NO_QUORUM');
            });

            test('not when one node refuses', async () => {
                nodes[2].onList = () => Promise.reject(new LockError('NO_PERMISSION', 'No scan.'));
                nodes[0].onList = failed();
                await rejection(eventually(listed()), 'NO_PERMISSION');
            });

            test('but for one that only a minority has', async () => {
                for (const node of nodes) node.onList = () => Promise.resolve(['key']);
                [nodes[0].onInspect, nodes[1].onInspect, nodes[2].onInspect] = ['a', 'b', 'c'].map(
                    (holder) => () => Promise.resolve(info('key', holder)),
                ) as [() => Promise<LockInfo>, () => Promise<LockInfo>, () => Promise<LockInfo>];
                assert.isEmpty(await eventually(listed()));
            });
        });
    });

    test('tells of nodes that are away', () => {
        nodes[2].isReady = false;
        nodes[2].listener?.disconnected(new Error('test'));
        assert.deepEqual(told, ['warned']);
        nodes[2].isReady = true;
        nodes[2].listener?.reconnected();
        assert.deepEqual(told, ['warned']);
        nodes[2].listener?.recovered('test');
        assert.deepEqual(told.splice(0), ['warned', 'warned']);
        nodes[0].isReady = false;
        nodes[0].listener?.disconnected(new Error('test'));
        assert.deepEqual(told.splice(0), ['warned', 'reconnected']);
        nodes[1].isReady = false;
        nodes[1].listener?.disconnected(new Error('test'));
        assert.include(told.splice(0), 'disconnected');
        nodes[2].listener?.reconnected();
        assert.deepEqual(told.splice(0), ['reconnected']);
        nodes[2].listener?.recovered('test');
        assert.isEmpty(told, 'two of three are still away');
        nodes[1].isReady = true;
        nodes[1].listener?.recovered('test');
        assert.include(told, 'recovered');
    });

    test('tells of a hand-off by the lead only, and of grants as hints', () => {
        nodes[1].listener?.handedOn('key', 2000);
        nodes[0].listener?.granted('key', 'me', 5, 2000);
        assert.deepEqual(told, ['granted me 0']);
        nodes[0].listener?.handedOn('key', 2000);
        assert.deepEqual(told, ['granted me 0', 'handedOn']);
    });

    test('closes every node when it cannot be opened', async () => {
        store = new QuorumStore(nodes, { nodeTimeout: 100, longestTtl: 10_000 }, clock);
        nodes[2].onOpen = failed('WRONG_PASSWORD');
        await rejection(eventually(store.open({ ...(nodes[0].listener as StoreListener) })), 'WRONG_PASSWORD');
        assert.isTrue(nodes.every(({ closed }) => closed));
    });

    test('says that it was closed', async () => {
        for (const node of nodes) node.onAcquire = failed();
        await store.close();
        await rejection(eventually(acquireFrom(store, REQUEST)), 'CLOSED');
    });
});
