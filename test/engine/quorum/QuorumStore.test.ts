import { assert } from 'chai';
import { LockError } from '../../../src/engine/port/errors';
import { newId, nameOf } from '../../../src/engine/port/holder';
import { rejection } from '../../fixtures/rejection';
import { VirtualClock } from '../../fixtures/VirtualClock';
import { MemoryNode } from './MemoryNode';
import type { MemoryLink } from './MemoryNode';
import { KEY, NODE_TIMEOUT, QuorumProcess, TTL } from './QuorumProcess';

suite('QuorumStore', () => {
    let clock: VirtualClock;
    let nodes: MemoryNode[];
    let one: QuorumProcess;
    let other: QuorumProcess;
    let links: readonly [MemoryLink, MemoryLink, MemoryLink];

    setup(async () => {
        clock = new VirtualClock();
        nodes = Array.from({ length: 3 }, () => new MemoryNode(clock));
        one = await new QuorumProcess(nodes, clock).open();
        other = await new QuorumProcess(nodes, clock).open();
        const [first, second, third] = one.links;
        if (first === undefined || second === undefined || third === undefined) assert.fail();
        links = [first, second, third];
    });

    function values(key = KEY): (string | undefined)[] {
        return nodes.map((node) => node.get(key));
    }

    /** A stranger has the key at these nodes. */
    function occupy(...at: number[]): void {
        for (const index of at) nodes[index]?.set(KEY, 'stranger', TTL);
    }

    const FREE = [undefined, undefined, undefined];

    suite('acquire', () => {
        test('is granted when a quorum votes for it, and does not wait for the rest', async () => {
            links[2].isHeld = true;
            const before = clock.now();
            const { deadline, holder } = await one.granted();
            assert.strictEqual(clock.now(), before);
            assert.isAtMost(deadline, before + TTL * 0.99);
            assert.deepEqual(values(), [holder, holder, undefined]);
        });

        test('waits for the lead: others may stand in line there', async () => {
            links[0].delay = 20;
            const before = clock.now();
            await one.granted();
            assert.isAtLeast(clock.now(), before + 40);
        });

        test('waits for a lead that is frozen no longer than a node may take', async () => {
            links[0].isHeld = true;
            const before = clock.now();
            await one.granted();
            assert.approximately(clock.now() - before, NODE_TIMEOUT, 10);
            // From now on the next node leads.
            assert.include(one.told, 'reconnected');
            await one.granted({ key: 'another' });
            assert.isBelow(clock.now() - before, NODE_TIMEOUT + 20);
        });

        test('takes one command of each node, as does its release', async () => {
            await one.release(await one.granted());
            const sent = links.map((link) => link.sent);
            for (let time = 0; time < 20; time++) await one.release(await one.granted());
            assert.deepEqual(
                links.map((link, at) => link.sent - (sent[at] ?? 0)),
                [40, 40, 40],
            );
        });

        test('is granted with the greatest fence, which every node has then', async () => {
            nodes.forEach((node, at) => (node.ahead = [0, 7, 3][at] ?? 0));
            const { fence, holder } = await one.granted();
            await clock.advance(1);
            assert.deepEqual(values(), [holder, holder, holder]);
            assert.isAtLeast(Math.min(...nodes.map((node) => node.clockValue)), fence);
        });

        test('has a greater fence than the one before, whichever nodes vote', async () => {
            nodes.forEach((node, at) => (node.ahead = [0, 7, -5000][at] ?? 0));
            let last = 0;
            for (const away of [2, 0, 1, 0, 2]) {
                const link = links[away];
                if (link === undefined) assert.fail();
                link.isReady = false;
                const granted = await one.granted();
                assert.isAbove(granted.fence, last);
                last = granted.fence;
                await one.release(granted);
                link.reconnect();
            }
        });

        test('takes back a grant whose fence could not be stored', async () => {
            nodes.forEach((node, at) => (node.ahead = at * 10));
            for (const link of links) link.delay = 10;
            const acquiring = one.acquire();
            await clock.advance(15);
            for (const link of links) link.isHeld = true;
            const error = await rejection(acquiring, 'NO_QUORUM');
            assert.match(error.message, /could not be stored: node 1: did not answer in time; node 2: granted/);
            assert.isTrue(error.unknown);
            for (const link of links) link.resume();
            await clock.advance(50);
            assert.deepEqual(values(), FREE);
        });

        test('takes back a grant that comes when its lease is over', async () => {
            for (const link of links) link.delay = 40;
            await rejection(one.acquire({ ttl: 60 }), 'NO_QUORUM');
            for (const node of nodes) node.lock(KEY).expires = Infinity;
            await clock.advance(200);
            assert.deepEqual(values(), FREE);
        });

        test('is busy when the lead says so, and keeps nothing of what others gave', async () => {
            occupy(0);
            assert.deepInclude(await one.busy(), { holder: 'stranger', foreign: true });
            await clock.advance(1);
            assert.deepEqual(values(), ['stranger', undefined, undefined]);
        });

        test('is retried while others have the votes that it needs', async () => {
            occupy(1, 2);
            const acquiring = one.granted();
            await clock.advance(10);
            assert.isDefined(nodes[0]?.get(KEY));
            nodes[2]?.delete(KEY);
            const { holder } = await acquiring;
            assert.strictEqual(nodes[0]?.get(KEY), holder);
        });

        test('lets the next in line try when others have the votes that it needs for too long', async () => {
            occupy(1, 2);
            const before = clock.now();
            const { rank, remaining } = await one.busy({ ticket: 0 });
            assert.isBelow(clock.now() - before, 150);
            assert.deepEqual({ rank, remaining }, { rank: 0, remaining: 100 });
            await clock.advance(1);
            assert.isUndefined(nodes[0]?.get(KEY));
        });

        test('stands in line also where others have the votes that it needs', async () => {
            occupy(1, 2);
            const id = newId();
            const { ticket } = await one.busy({ id, ticket: 0 });
            assert.deepEqual(nodes[1]?.line(KEY), [nameOf(id)]);
            nodes[1]?.delete(KEY);
            nodes[1]?.handOn(KEY);
            await clock.advance(1);
            assert.include(one.told, `woken ${id}`);
            await one.granted({ id, ticket });
            await clock.advance(1);
            assert.deepEqual(
                nodes.map((node) => node.line(KEY)),
                [[], [], []],
            );
        });

        test('of one who waits asks the lead only, until it is its turn', async () => {
            const held = await other.granted();
            const id = newId();
            await one.busy({ id, ticket: 0 });
            await clock.advance(1);
            const sent = links.map((link) => link.sent);
            await one.busy({ id, ticket: 7 });
            assert.deepEqual(
                links.map((link, at) => link.sent - (sent[at] ?? 0)),
                [1, 0, 0],
            );
            await other.release(held);
            await clock.advance(1);
            assert.include(one.told, `woken ${id}`);
            links[0].delay = 10;
            const before = clock.now();
            await one.granted({ id, ticket: 7 });
            // All nodes at once.
            assert.isAtMost(clock.now() - before, 25);
        });

        test('fails with what is wrong with the key, and nothing is remembered of it', async () => {
            for (const node of nodes) node.refusal = 'WRONG_TYPE';
            for (let time = 0; time < 20; time++) {
                await rejection(one.acquire(), 'WRONG_TYPE');
                await rejection(one.acquire({ ticket: 0 }), 'WRONG_TYPE');
            }
            assert.strictEqual(one.known, 0);
        });

        test('fails no sooner than the event loop has turned when no node is there: they could not come back', async () => {
            for (const link of links) link.isReady = false;
            let failed = 0;
            const failing = [one.store.renew(KEY, 'mine', 1000), one.store.inspect(KEY)].map((asked) =>
                rejection(asked, 'NO_QUORUM').then(() => (failed += 1)),
            );
            for (let turn = 0; turn < 100; turn++) await Promise.resolve();
            assert.strictEqual(failed, 0);
            await clock.advance(5);
            await Promise.all(failing);
        });

        test('fails when too few nodes answer, says what each did, and leaves nothing behind', async () => {
            links[1].isHeld = true;
            links[2].isReady = false;
            const error = await rejection(one.acquire(), 'NO_QUORUM');
            assert.match(error.message, /node 1: granted; node 2: did not answer in time; node 3: It is not connected/);
            assert.isTrue(error.unknown);
            links[1].resume();
            await clock.advance(1);
            assert.deepEqual(values(), FREE);
            assert.strictEqual(one.known, 0);
        });

        test('of one who waits is not refused by a node whose answer to its last try was lost', async () => {
            const id = newId();
            const lost = [links[1], links[2]];
            for (const link of lost) link.isHeld = true;
            const acquiring = one.acquire({ id, ticket: 0 });
            await clock.advance(1);
            for (const link of lost) link.cut();
            for (const link of lost) link.reconnect();
            assert.isTrue((await rejection(acquiring, 'NO_QUORUM')).unknown);
            await clock.advance(1);
            const { holder } = await one.granted({ id, ticket: 0 });
            assert.deepEqual(values(), [holder, holder, holder]);
            await one.release({ holder });
            assert.deepEqual(values(), FREE);
            assert.strictEqual(one.known, 0);
        });

        test('takes back a vote that comes after it failed', async () => {
            links[1].isHeld = links[2].isHeld = true;
            const acquiring = one.acquire();
            await rejection(acquiring, 'NO_QUORUM');
            links[2].resume('reversed');
            links[1].resume('reversed');
            await clock.advance(1);
            assert.deepEqual(values(), FREE);
        });

        test('is refused for a longer lease than a restarted node is kept from voting', async () => {
            await rejection(one.acquire({ ttl: TTL + 1 }), 'BAD_TTL');
        });

        test('leaves the line where it stood when another node leads', async () => {
            occupy(0, 1, 2);
            const id = newId();
            const { ticket } = await one.busy({ id, ticket: 0 });
            assert.deepEqual(nodes[0]?.line(KEY), [nameOf(id)]);
            links[0].isHeld = true;
            await rejection(
                one.acquire({ key: 'frozen', ticket: 5 }).then(() => assert.fail('granted')),
                '',
            ).catch(() => undefined);
            await one.busy({ id, ticket });
            links[0].resume();
            await clock.advance(1);
            assert.deepEqual(nodes[0]?.line(KEY), []);
            assert.deepEqual(nodes[1]?.line(KEY), [nameOf(id)]);
        });

        test('relies on a node again when it answers in time', async () => {
            links[0].isHeld = true;
            await one.granted();
            links[0].resume();
            await clock.advance(1);
            one.told.splice(0);
            await one.granted({ key: 'in time' });
            await clock.advance(1);
            assert.deepEqual(one.told, ['reconnected']);
        });
    });

    suite('a lost attempt', () => {
        test('that arrives after the release takes nothing', async () => {
            links[2].isHeld = true;
            const granted = await one.granted();
            links[2].cut();
            links[2].reconnect();
            await one.release(granted);
            links[2].deliverStrays();
            await clock.advance(1);
            assert.deepEqual(values(), FREE);
            assert.strictEqual(one.known, 0);
        });

        test('at the first node that arrives after the release takes nothing', async () => {
            links[0].isHeld = true;
            const granted = await one.granted();
            links[0].cut();
            links[0].reconnect();
            await one.release(granted);
            links[0].deliverStrays();
            await clock.advance(1);
            assert.deepEqual(values(), FREE);
        });

        test('whose connection is lost only after the release takes nothing', async () => {
            links[2].isHeld = true;
            const granted = await one.granted();
            await one.release(granted);
            links[2].cut();
            links[2].reconnect();
            await clock.advance(1);
            links[2].deliverStrays();
            await clock.advance(1);
            assert.deepEqual(values(), FREE);
            assert.strictEqual(one.known, 0);
        });

        test('that arrives before the release is released with the lease', async () => {
            links[2].isHeld = true;
            const granted = await one.granted();
            links[2].cut();
            links[2].reconnect();
            links[2].deliverStrays();
            await one.release(granted);
            await clock.advance(1);
            assert.deepEqual(values(), FREE);
        });

        test('that has a vote when a later attempt has the others is released, too', async () => {
            occupy(1);
            links[2].isHeld = true;
            const id = newId();
            const { ticket } = await one.busy({ id, ticket: 0 });
            nodes[1]?.delete(KEY);
            const granted = await one.granted({ id, ticket });
            links[2].cut();
            links[2].reconnect();
            links[2].deliverStrays(1);
            await one.release(granted);
            await clock.advance(1);
            assert.deepEqual(values(), FREE);
        });

        test('of a try that was refused takes nothing', async () => {
            occupy(0);
            links[2].isHeld = true;
            await one.busy();
            links[2].cut();
            links[2].reconnect();
            await clock.advance(1);
            links[2].deliverStrays();
            await clock.advance(1);
            assert.deepEqual(values(), ['stranger', undefined, undefined]);
        });

        test('of an acquisition that was given up takes nothing', async () => {
            occupy(1);
            links[2].isHeld = true;
            const id = newId();
            const acquiring = rejection(one.acquire({ id, ticket: 0 }), 'LOCK_ABORTED');
            await clock.advance(1);
            links[2].cut();
            await one.giveUp(id, true);
            await acquiring;
            links[2].reconnect();
            await clock.advance(1);
            links[2].deliverStrays();
            await clock.advance(1);
            assert.deepEqual(values(), [undefined, 'stranger', undefined]);
            assert.strictEqual(one.known, 0);
        });
    });

    suite('release', () => {
        test('frees the key at every node', async () => {
            assert.strictEqual(await one.release(await one.granted()), 'released');
            assert.deepEqual(values(), FREE);
        });

        test('frees it later at a node that is away', async () => {
            const granted = await one.granted();
            links[1].isReady = false;
            assert.strictEqual(await one.release(granted), 'released');
            assert.isDefined(nodes[1]?.get(KEY));
            links[1].reconnect();
            await clock.advance(1);
            assert.deepEqual(values(), FREE);
        });

        test('does not free later what its owner has got again', async () => {
            const granted = await one.granted({ id: newId('job') });
            links[1].isReady = false;
            await one.release(granted);
            await clock.advance(TTL);
            await other.granted({ id: newId('job') });
            links[1].reconnect();
            await clock.advance(1);
            assert.isDefined(nodes[1]?.get(KEY));
        });

        test('is over when the lead and a quorum say so', async () => {
            const granted = await one.granted();
            links[1].isHeld = true;
            const before = clock.now();
            await one.release(granted);
            assert.strictEqual(clock.now(), before);
            links[1].resume();
            const again = await one.granted();
            links[0].delay = 20;
            await one.release(again);
            assert.isAtLeast(clock.now(), before + 20);
        });

        test('that only a minority knows of is gone', async () => {
            const granted = await one.granted();
            nodes[0]?.delete(KEY);
            nodes[1]?.delete(KEY);
            assert.strictEqual(await one.release(granted), 'gone');
            assert.deepEqual(values(), FREE);
        });

        test('that is undecided is unknown', async () => {
            const granted = await one.granted();
            nodes[0]?.delete(KEY);
            links[2].isReady = false;
            assert.isTrue((await rejection(one.release(granted), 'NO_QUORUM')).unknown);
        });

        test('frees what a stranger has, and nothing that begins like it', async () => {
            occupy(0, 1, 2);
            assert.strictEqual(await one.release({ holder: 'stran' }), 'gone');
            assert.strictEqual(await one.release({ holder: 'stranger' }), 'released');
            assert.deepEqual(values(), FREE);
        });

        test('passes the key on at the lead', async () => {
            const granted = await one.granted();
            const id = newId();
            await other.busy({ id, ticket: 0 });
            await one.release(granted);
            await clock.advance(1);
            assert.include(other.told, `woken ${id}`);
            assert.strictEqual((await other.granted({ id, ticket: 0 })).kind, 'granted');
        });
    });

    suite('renew', () => {
        function renew(holder: string, ttl = TTL): ReturnType<QuorumProcess['store']['renew']> {
            return one.during(one.store.renew(KEY, holder, ttl));
        }

        test('lasts as long as a quorum has it', async () => {
            const { holder } = await one.granted();
            await clock.advance(1000);
            for (const link of links) link.delay = 5;
            const before = clock.now();
            const renewed = await renew(holder);
            if (renewed.kind !== 'renewed') assert.fail();
            assert.strictEqual(renewed.deadline, before + 0.99 * TTL - 2);
        });

        test('is gone when a quorum cannot have it any more', async () => {
            const { holder } = await one.granted();
            nodes[0]?.delete(KEY);
            nodes[1]?.delete(KEY);
            assert.deepEqual(await renew(holder), { kind: 'gone' });
        });

        test('that is undecided is unknown', async () => {
            const { holder } = await one.granted();
            nodes[0]?.delete(KEY);
            links[1].isReady = false;
            assert.isTrue((await rejection(renew(holder), 'NO_QUORUM')).unknown);
        });

        for (const chosen of [undefined, 'job']) {
            test(`gets back a vote that a node has lost, of ${chosen ?? 'an id of our own'}`, async () => {
                const { holder } = await one.granted({ id: newId(chosen) });
                const before = values();
                for (const node of nodes) {
                    node.delete(KEY);
                    assert.strictEqual((await renew(holder)).kind, 'renewed');
                    await clock.advance(1);
                    assert.deepEqual(values(), before);
                }
                assert.strictEqual(await one.release({ holder }), 'released');
                assert.deepEqual(values(), FREE);
            });
        }

        for (const chosen of [undefined, 'job']) {
            const whose = chosen ?? 'an id of our own';

            /** A lease of which the last node has lost its vote, and a renewal that goes on for some ms. */
            async function renewing(
                passed: number,
            ): Promise<{ holder: string; id: string; renewed: Promise<unknown> }> {
                const id = newId(chosen);
                const { holder } = await one.granted({ id });
                nodes[2]?.delete(KEY);
                for (const link of links) link.delay = 10;
                const renewed = one.store.renew(KEY, holder, TTL).catch(() => undefined);
                await clock.advance(passed);
                return { holder, id, renewed };
            }

            async function released({ holder, id }: { holder: string; id: string }): Promise<void> {
                const request = chosen === undefined ? { key: KEY, holder } : { key: KEY, holder, id };
                await one.during(
                    new Promise((resolve) => {
                        one.store.release(request, resolve);
                    }),
                );
            }

            test(`asks for no vote once the lease was released, whenever that is, of ${whose}`, async () => {
                for (let passed = 0; passed <= 80; passed += 5) {
                    const lease = await renewing(passed);
                    const { sent } = links[2];
                    await released(lease);
                    await one.during(lease.renewed);
                    await clock.advance(100);
                    assert.deepEqual(values(), FREE, `released after ${passed} ms`);
                    // The release, and a look at what the owner has.
                    if (passed < 20) assert.isAtMost(links[2].sent - sent, chosen === undefined ? 1 : 2);
                }
            });

            test(`takes back a vote that comes after the release, of ${whose}`, async () => {
                const lease = await renewing(chosen === undefined ? 25 : 45);
                links[2].isHeld = true;
                await clock.advance(20);
                await released(lease);
                links[2].resume('reversed');
                await one.during(lease.renewed);
                await clock.advance(100);
                assert.deepEqual(values(), FREE);
            });

            test(`takes back a vote whose request arrives by a lost connection, of ${whose}`, async () => {
                for (const arrives of ['before', 'after']) {
                    const lease = await renewing(chosen === undefined ? 25 : 45);
                    links[2].isHeld = true;
                    await clock.advance(20);
                    links[2].cut();
                    if (arrives === 'before') links[2].deliverStrays();
                    links[2].reconnect();
                    await one.during(lease.renewed);
                    await released(lease);
                    links[2].deliverStrays();
                    await clock.advance(100);
                    assert.deepEqual(values(), FREE, `it arrives ${arrives} the release`);
                }
            });
        }

        test('counts the vote of this attempt only', async () => {
            const id = newId();
            const { holder } = await one.granted({ id });
            const [value = ''] = values();
            // An attempt that was lost has the key at two nodes: it may be taken back at any time.
            for (const node of nodes.slice(1)) node.set(KEY, value.replace(/#\d+:/, '#0:'), TTL);
            assert.deepEqual(await renew(holder), { kind: 'gone' });
        });
    });

    suite('giving up', () => {
        test('ends the attempts of an acquisition, and leaves nothing behind', async () => {
            occupy(1, 2);
            const id = newId();
            const acquiring = rejection(one.acquire({ id, ticket: 0 }), 'LOCK_ABORTED');
            await clock.advance(10);
            assert.strictEqual(await one.giveUp(id, true), 'released');
            await acquiring;
            for (const node of nodes.slice(1)) node.delete(KEY);
            await clock.advance(100);
            assert.deepEqual(values(), FREE);
            assert.deepEqual(
                nodes.map((node) => node.line(KEY)),
                [[], [], []],
            );
            assert.strictEqual(one.known, 0);
        });

        test('of one who waits tells the nodes in whose lines it stands', async () => {
            await other.granted();
            const id = newId();
            await one.busy({ id, ticket: 0 });
            await clock.advance(1);
            const sent = links.map((link) => link.sent);
            assert.strictEqual(await one.giveUp(id), 'gone');
            assert.deepEqual(
                links.map((link, at) => link.sent - (sent[at] ?? 0)),
                [1, 0, 0],
            );
            assert.deepEqual(nodes[0]?.line(KEY), []);
            assert.strictEqual(one.known, 0);
        });

        test('that too few nodes were told of is unknown, and told later', async () => {
            const id = newId();
            await one.granted({ id });
            links[1].isReady = links[2].isReady = false;
            assert.isTrue((await rejection(one.giveUp(id, true), 'NO_QUORUM')).unknown);
            links[1].reconnect();
            links[2].reconnect();
            await clock.advance(1);
            assert.deepEqual(values(), FREE);
        });
    });

    suite('a chosen holder', () => {
        test('is one owner, who is granted the key again', async () => {
            const first = await one.granted({ id: newId('job'), ttl: 5000 });
            const again = await other.granted({ id: newId('job') });
            assert.strictEqual(again.holder, 'job');
            assert.strictEqual(again.fence, first.fence);
            assert.isAbove(again.deadline, first.deadline);
            assert.strictEqual(await other.release(again), 'released');
            assert.deepEqual(values(), FREE);
        });

        test('keeps its lease when it is refused another one', async () => {
            const lease = await one.granted({ id: newId('job') });
            occupy(0);
            await other.busy({ id: newId('job') });
            await clock.advance(1);
            nodes[0]?.delete(KEY);
            assert.strictEqual(await one.release(lease), 'released');
        });

        test('is told apart from one that begins like it', async () => {
            await one.granted({ id: newId('job:1') });
            assert.strictEqual((await other.busy({ id: newId('job:') })).holder, 'job:1');
            assert.strictEqual(await other.release({ holder: 'job:' }), 'gone');
        });

        test('that is the one of a lease takes that lease over', async () => {
            const lease = await one.granted({ ttl: 5000 });
            const taken = await other.granted({ id: newId(lease.holder) });
            assert.deepInclude(taken, { holder: lease.holder, fence: lease.fence });
            assert.isAbove(taken.deadline, lease.deadline);
            assert.strictEqual(await other.release(taken), 'released');
            assert.deepEqual(values(), FREE);
            await rejection(other.acquire({ id: newId(lease.holder) }), 'LOCK_LOST');
            const { holder } = await one.granted();
            assert.strictEqual((await other.busy({ id: newId(lease.holder) })).holder, holder);
        });

        test('must not contain what the nodes put behind it', async () => {
            await rejection(one.acquire({ id: newId('a#b') }), 'BAD_HOLDER');
        });
    });

    suite('inspect', () => {
        function inspect(): ReturnType<QuorumProcess['store']['inspect']> {
            return one.during(one.store.inspect(KEY));
        }

        test('tells whom a quorum names, with the time that a quorum gives', async () => {
            const lease = await one.granted();
            await clock.advance(1);
            nodes[0]?.set(KEY, 'stranger', TTL);
            nodes[2]?.set(KEY, lease.holder, 300);
            assert.deepInclude(await inspect(), { holder: lease.holder, fence: lease.fence, remaining: 300 });
            nodes[2]?.set(KEY, 'another', TTL);
            assert.deepInclude(await inspect(), { holder: undefined, fence: undefined, remaining: 0 });
        });

        test('tells the fence of the lease, also when a node has voted late', async () => {
            links[2].delay = 30;
            nodes.forEach((node, at) => (node.ahead = at === 2 ? 50 : 0));
            const { fence, holder } = await one.granted();
            await clock.advance(200);
            nodes[0]?.delete(KEY);
            assert.deepInclude(await inspect(), { fence, holder });
        });

        test('tells who stands in line at the lead, by their holders', async () => {
            await one.granted();
            const id = newId();
            await other.busy({ id, ticket: 0 });
            await other.busy({ id: newId('job'), ticket: 0 });
            const { waiters } = await inspect();
            assert.deepEqual(
                waiters.map(({ holder }) => holder),
                [nameOf(id), 'job'],
            );
        });

        test('is unknown without a quorum', async () => {
            links[0].isReady = links[1].isReady = false;
            await rejection(inspect(), 'NO_QUORUM');
        });
    });

    suite('list', () => {
        async function listed(): Promise<string[]> {
            const keys: string[] = [];
            for await (const { key } of one.store.list('*')) keys.push(key);
            return keys.sort();
        }

        test('tells what a quorum has, whichever nodes name it', async () => {
            for (const key of ['a', 'b', 'c']) await one.granted({ key });
            nodes[0]?.delete('a');
            nodes[1]?.delete('b');
            nodes[1]?.delete('c');
            nodes[2]?.delete('c');
            assert.deepEqual(await one.during(listed()), ['a', 'b']);
        });

        test('is unknown when too few nodes tell theirs', async () => {
            links[0].isReady = links[1].isReady = false;
            await rejection(one.during(listed()), 'NO_QUORUM');
        });

        test('fails when a node refuses', async () => {
            links[0].isReady = false;
            const node = nodes[2];
            if (node === undefined) assert.fail();
            node.refusal = 'NO_PERMISSION';
            await rejection(one.during(listed()), 'NO_PERMISSION');
        });
    });

    suite('tells', () => {
        test('of nodes that are away, and of the quorum', () => {
            links[2].cut();
            assert.match(one.told.splice(0).join(), /^warned One of 3 nodes is away; 2 are there/);
            links[2].reconnect();
            assert.match(one.told.splice(0).join(), /^warned One of 3 nodes works again; 3 are there/);
            links[0].cut();
            assert.match(one.told.splice(0).join(), /^warned [^,]*,reconnected$/);
            links[1].cut();
            assert.include(one.told.splice(0), 'disconnected');
            links[1].reconnect();
            assert.include(one.told, 'recovered');
        });

        test('those who wait at once when another node leads', async () => {
            const id = newId();
            await other.granted();
            await one.busy({ id, ticket: 0 });
            links[0].isReady = false;
            links[0].listener?.departed?.();
            assert.deepEqual(one.told, ['reconnected']);
        });

        test('of a hand-off by the lead, and of the first in line there', async () => {
            const id = newId();
            await other.granted();
            await one.busy({ id, ticket: 0 });
            const nodeId = id;
            links[1].listener?.handedOn(KEY, 2000);
            links[1].listener?.first(KEY, nodeId, 100);
            assert.deepEqual(one.told, []);
            links[0].listener?.handedOn(KEY, 2000);
            links[0].listener?.first(KEY, nodeId, 100);
            assert.deepEqual(one.told, ['handedOn', `first ${id}`]);
        });
    });

    suite('open', () => {
        test('needs a quorum, and says what is wrong with each node', async () => {
            const process = new QuorumProcess(nodes, clock);
            for (const link of process.links.slice(1)) {
                link.opening = () => Promise.reject(new LockError('CONNECTION_FAILED', 'It is away.'));
            }
            const error = await rejection(process.open(), 'NO_QUORUM');
            assert.match(error.message, /node 1: answered; node 2: It is away; node 3: It is away/);
            assert.isTrue(process.links.every((link) => link.isClosed));
        });

        test('fails when one node is configured wrongly', async () => {
            const process = new QuorumProcess(nodes, clock);
            const [first] = process.links;
            if (first === undefined) assert.fail();
            first.opening = () => Promise.reject(new LockError('WRONG_PASSWORD', 'Wrong.'));
            await rejection(process.open(), 'WRONG_PASSWORD');
            assert.isTrue(process.links.every((link) => link.isClosed));
        });

        suite('of nodes that were started a moment ago', () => {
            /** Nodes that vote after some ms, or never answer. */
            function fresh(lefts: readonly (number | undefined)[], openTimeout: number): QuorumProcess {
                const process = new QuorumProcess(nodes, clock, { openTimeout });
                process.links.forEach((link, at) => {
                    const left = lefts[at];
                    link.opening = () =>
                        new Promise((resolve) => {
                            if (left === undefined) return;
                            if (left > 0) {
                                link.listener?.settling?.(left);
                                clock.timer(50, () => link.listener?.settling?.(left - 50));
                            }
                            clock.timer(left, resolve);
                        });
                });
                return process;
            }

            test('waits for a quorum of them, and says once when it opens', async () => {
                const process = fresh([3000, 2000, 4000], 5000);
                const before = clock.now();
                await process.open();
                assert.approximately(clock.now() - before, 3000, NODE_TIMEOUT + 50);
                assert.lengthOf(process.told, 1);
                assert.match(
                    process.told[0] ?? '',
                    /^warned The quorum opens in 3 s: 3 of 3 nodes .* options.ttl \(10 s\)/,
                );
            });

            test('fails at once when that is later than it may wait, and says when it opens', async () => {
                const process = fresh([8000, 9000, undefined], 5000);
                const before = clock.now();
                const error = await rejection(process.open(), 'NO_QUORUM');
                assert.match(error.message, /^The quorum opens in 9 s: 2 of 3 nodes .* options.connect_timeout/);
                assert.isBelow(clock.now() - before, 500);
                assert.isTrue(process.links.every((link) => link.isClosed));
            });

            test('says nothing when the others are a quorum', async () => {
                const process = fresh([8000, 60, 60], 5000);
                await process.open();
                assert.deepEqual(process.told, []);
            });
        });

        test('waits a moment for the nodes beyond a quorum', async () => {
            const process = new QuorumProcess(nodes, clock);
            const last = process.links[2];
            if (last === undefined) assert.fail();
            last.opening = () => new Promise(() => undefined);
            const before = clock.now();
            await process.open();
            assert.approximately(clock.now() - before, NODE_TIMEOUT, 10);
        });
    });

    test('fails with CLOSED after close, and answers who waits', async () => {
        occupy(1, 2);
        const acquiring = rejection(one.acquire({ ticket: 0 }), 'CLOSED');
        await clock.advance(10);
        await one.store.close();
        await acquiring;
        await rejection(one.acquire(), 'CLOSED');
        assert.strictEqual(one.known, 0);
    });
});
