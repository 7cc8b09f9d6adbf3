import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { Redis } from 'ioredis';
import { refusing } from '../fixtures/CommandFilter';
import type { Answer } from '../fixtures/CommandFilter';
import { Crowd } from '../fixtures/Crowd';
import { Locks } from '../fixtures/Locks';
import type { Options } from '../fixtures/Locks';
import { ownServer } from '../fixtures/ownServer';
import { rejection } from '../fixtures/rejection';
import { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';

suite('Queue under faults', function () {
    this.timeout(30_000);
    const own = ownServer();

    /** Lets everybody in, does something when some have been served, and waits for the rest. */
    async function interrupt(crowd: Crowd, fault: () => unknown, within = 20_000): Promise<void> {
        await crowd.start();
        await crowd.served(5);
        await fault();
        console.log(`      all served after ${Math.round(await crowd.served(20, within))} ms`);
    }

    /** Longer than a reconnect takes, shorter than a heartbeat, which is what is left when nothing else helps. */
    const SOON = 7000;

    const kill = (type: string): Promise<unknown> => own.commands.client.call('CLIENT', 'KILL', 'TYPE', type);

    suite('in the middle of a queue', () => {
        const faults: [what: string, fault: () => Promise<unknown>][] = [
            ['SCRIPT FLUSH', () => own.commands.client.script('FLUSH')],
            ['losing the clock', () => own.commands.client.del('redis-lock:clock')],
        ];
        for (const [what, fault] of faults) {
            test(`${what} goes unnoticed`, async () => {
                const { locks } = own;
                const crowd = await Crowd.gather(await locks.openMany(4), 'key', { count: 20, ttl: 20_000 });
                await interrupt(crowd, fault, SOON);
                crowd.resource.check();
                assert.deepEqual(crowd.resource.order, crowd.line);
            });
        }

        test('losing the queue, the waiters or all side keys leaves everybody served, one at a time', async () => {
            const { locks } = own;
            const line = await locks.openMany(4);
            const losses: [key: string, ...lost: string[]][] = [
                ['a', 'redis-lock:{a}:q'],
                ['b', 'redis-lock:{b}:w'],
                ['c', 'redis-lock:{c}:q', 'redis-lock:{c}:w', 'redis-lock:clock'],
            ];
            const served = losses.map(async ([key, ...lost]) => {
                const crowd = await Crowd.gather(line, key, { count: 20 });
                await interrupt(crowd, () => own.commands.client.del(lost), SOON);
                crowd.resource.check();
            });
            await Promise.all(served);
        });

        test('CLIENT KILL leaves everybody served, one at a time', async () => {
            const { locks } = own;
            const crowd = await Crowd.gather(await locks.openMany(4), 'key', { count: 20, ttl: 20_000 });
            await interrupt(crowd, () => Promise.allSettled([kill('pubsub'), kill('normal')]), SOON);
            crowd.resource.check();
        });

        test('FLUSHALL leaves everybody served, with rising fences', async () => {
            const { locks } = own;
            const crowd = await Crowd.gather(await locks.openMany(4), 'key', { count: 20 });
            await interrupt(crowd, () => own.commands.client.flushall(), SOON);
            crowd.resource.checkFences();
        });

        test('a server that comes back empty leaves everybody served, with rising fences', async () => {
            const { locks } = own;
            const crowd = await Crowd.gather(await locks.openMany(4), 'key', { count: 20, ttl: 20_000 });
            await interrupt(crowd, () => own.server.restart(), SOON);
            crowd.resource.checkFences();
        });

        test('a cut network leaves everybody served, one at a time', async () => {
            await using proxy = await TcpProxy.start(own.server);
            await using locks = new Locks(proxy);
            const crowd = await Crowd.gather(await locks.openMany(4), 'key', { count: 20, ttl: 20_000 });
            const cuts = async (): Promise<void> => {
                proxy.cut();
                await crowd.served(12);
                proxy.cut();
            };
            await interrupt(crowd, cuts, SOON);
            crowd.resource.check();
        });

        for (const direction of ['toServer', 'toClient'] as const) {
            test(`what is held back ${direction} and arrives late lets no two in`, async () => {
                await using proxy = await TcpProxy.start(own.server);
                const { locks } = own;
                const line = [await locks.open(), await locks.open({}, proxy)];
                const crowd = await Crowd.gather(line, 'key', { count: 8, ttl: 200, stay: 50 });
                proxy.pause(direction);
                await crowd.start();
                // The last who came is still there when everything arrives that was meant for others.
                await crowd.entered(3);
                proxy.resume();
                await crowd.served(8, 20_000);
                crowd.resource.check();
            });
        }

        test('a waiter whose question was lost asks again', async () => {
            await using proxy = await TcpProxy.start(own.server);
            const { locks } = own;
            const line = [await locks.open(), await locks.open({ wait: 'poll', retry_timeout: 20 }, proxy)];
            const crowd = await Crowd.gather(line, 'key', { count: 4, ttl: 20_000 });
            proxy.pause('toServer');
            await sleep(100);
            proxy.cut();
            proxy.resume();
            await crowd.start();
            await crowd.served();
            crowd.resource.check();
        });

        test('waiters on a half-open connection are passed over and come back', async () => {
            await using proxy = await TcpProxy.start(own.server);
            const { locks } = own;
            const line = [await locks.open(), await locks.open({}, proxy)];
            const crowd = await Crowd.gather(line, 'key', { count: 6, ttl: 300 });
            proxy.pause();
            await crowd.start();
            const took = await crowd.served(3);
            proxy.resume();
            await crowd.served(6, 20_000);
            crowd.resource.check();
            console.log(`      3 of 6 were silent: the others were served after ${Math.round(took)} ms`);
        });

        test('waiters who hear no message are served all the same', async () => {
            await using listener = new Listener(own.server);
            await using proxy = await TcpProxy.start(own.server, listener.instead);
            const { locks } = own;
            const line = [await locks.open(), await locks.open({}, proxy)];
            const crowd = await Crowd.gather(line, 'key', { count: 4, ttl: 300 });
            await crowd.start();
            const took = await crowd.served(4, 20_000);
            crowd.resource.check();
            assert.isAtLeast(listener.heard, 2);
            console.log(`      ${listener.heard} messages lost: all served after ${Math.round(took)} ms`);
        });
    });

    suite('with RESP2', () => {
        const old = refusing('HELLO');

        test('a component listens on a second connection, in order', async () => {
            await using proxy = await TcpProxy.start(own.server, old);
            await using locks = new Locks(proxy);
            const line = await locks.openMany(2);
            assert.strictEqual(proxy.connections, 4);
            const crowd = await Crowd.gather(line, 'key', { count: 20, ttl: 20_000 });
            await crowd.start();
            await crowd.served();
            crowd.resource.check();
            assert.deepEqual(crowd.resource.order, crowd.line);
        });

        test('with RESP3 it needs only one', async () => {
            await using proxy = await TcpProxy.start(own.server);
            await using locks = new Locks(proxy);
            await locks.openMany(2);
            assert.strictEqual(proxy.connections, 2);
        });

        test('a killed subscription leaves everybody served, one at a time', async () => {
            await using proxy = await TcpProxy.start(own.server, old);
            await using locks = new Locks(proxy);
            const crowd = await Crowd.gather(await locks.openMany(4), 'key', { count: 20, ttl: 20_000 });
            await interrupt(crowd, () => kill('pubsub'), SOON);
            crowd.resource.check();
        });

        test('a subscription that fails once is made again', async () => {
            let failures = 0;
            const flaky: Answer = (command) => {
                if (command[0]?.toUpperCase() === 'SUBSCRIBE' && failures++ === 0) proxy.cut();
                return old(command);
            };
            await using proxy = await TcpProxy.start(own.server, flaky);
            await using locks = new Locks(proxy);
            const crowd = await Crowd.gather([await locks.open()], 'key', { count: 10, ttl: 20_000 });
            await crowd.start();
            console.log(`      all served after ${Math.round(await crowd.served(10, 20_000))} ms`);
            assert.lengthOf(await own.commands.channels(), 1);
            assert.deepEqual(crowd.resource.order, crowd.line);
        });
    });

    suite('where the server has no publish/subscribe', () => {
        const proxies: [what: string, refused: string[]][] = [
            ['a proxy refuses SUBSCRIBE', ['SUBSCRIBE']],
            ['a proxy refuses PUBLISH', ['PUBLISH']],
            ['a proxy refuses SUBSCRIBE, PUBLISH, SCRIPT and WAIT', ['SUBSCRIBE', 'PUBLISH', 'SCRIPT', 'WAIT']],
            ['a RESP2 proxy refuses them', ['HELLO', 'SUBSCRIBE', 'PUBLISH', 'SCRIPT', 'WAIT', 'CLIENT']],
        ];
        for (const [what, refused] of proxies) {
            test(`waiters poll in line when ${what}`, async () => {
                await using proxy = await TcpProxy.start(own.server, refusing(...refused));
                await polledInLine(proxy);
            });
        }

        test('waiters poll in line when they may not subscribe', async () => {
            await own.commands.client.acl('SETUSER', 'default', '-subscribe');
            await polledInLine(own.server);
        });

        test('waiters poll in line when they may not publish', async () => {
            await own.commands.client.acl('SETUSER', 'default', '-publish');
            await polledInLine(own.server);
        });

        test('waiters poll in line when no channel is theirs', async () => {
            await own.commands.client.acl('SETUSER', 'default', 'resetchannels');
            await polledInLine(own.server);
        });

        test('options.wait poll needs none', async () => {
            await polledInLine(own.server, { wait: 'poll' });
            assert.notInclude([...(await own.commands.calls()).keys()], 'subscribe');
        });

        for (const command of ['subscribe', 'publish']) {
            test(`options.wait queue says that the server does not know ${command}`, async () => {
                await using proxy = await TcpProxy.start(own.server, refusing(command.toUpperCase()));
                await using locks = new Locks(proxy);
                const error = await rejection(locks.open({ wait: 'queue' }), 'NOT_SUPPORTED');
                assert.match(error.message, new RegExp(`options\\.wait.*'${command}'`));
            });

            test(`options.wait queue says that it may not ${command}`, async () => {
                await own.commands.client.acl('SETUSER', 'default', `-${command}`);
                const { locks } = own;
                const error = await rejection(locks.open({ wait: 'queue' }), 'NO_PERMISSION');
                assert.match(error.message, new RegExp(`options\\.wait.*${command}`));
            });
        }

        test('options.wait queue hands on in order', async () => {
            const { locks } = own;
            const line = await locks.openMany(2, { wait: 'queue' });
            const crowd = await Crowd.gather(line, 'key', { count: 10, ttl: 20_000 });
            await crowd.start();
            await crowd.served();
            assert.deepEqual(crowd.resource.order, crowd.line);
        });

        test('those who poll and those who are woken stand in one line', async () => {
            const { locks } = own;
            const line = [await locks.open({ wait: 'poll', retry_timeout: 20 }), await locks.open()];
            const crowd = await Crowd.gather(line, 'key', { count: 10, ttl: 20_000 });
            await crowd.start();
            await crowd.served();
            crowd.resource.check();
            assert.deepEqual(crowd.resource.order, crowd.line);
        });

        async function polledInLine(at: { host: string; port: number }, options: Options = {}): Promise<void> {
            await using locks = new Locks(at);
            const line = await locks.openMany(2, { retry_timeout: 20, ...options });
            const crowd = await Crowd.gather(line, 'key', { count: 10, ttl: 20_000 });
            // Those who are woken send nothing as long as this.
            await own.commands.reset();
            await until(async () => (await own.commands.scripts()) >= 10);
            await crowd.start();
            await crowd.served();
            crowd.resource.check();
            assert.deepEqual(crowd.resource.order, crowd.line);
        }
    });
});

/** Subscribes in the place of those who are told that they are subscribed: for the server, each message arrives. */
class Listener implements AsyncDisposable {
    heard = 0;
    private readonly _client: Redis;

    constructor({ host, port }: { host: string; port: number }) {
        this._client = new Redis({ host, port, protocol: 2 });
        this._client.on('message', (_channel, text) => {
            if (text !== '') this.heard += 1;
        });
    }

    readonly instead: Answer = ([name = '', channel = '']) => {
        if (name.toUpperCase() !== 'SUBSCRIBE') return null;
        void this._client.subscribe(channel);
        return `>3\r\n$9\r\nsubscribe\r\n$${channel.length}\r\n${channel}\r\n:1\r\n`;
    };

    async [Symbol.asyncDispose](): Promise<void> {
        const ended = new Promise((resolve) => this._client.once('end', resolve));
        this._client.disconnect();
        await ended;
    }
}
