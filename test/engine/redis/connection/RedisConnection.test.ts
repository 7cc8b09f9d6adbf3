import { assert } from 'chai';
import type { Redis } from 'ioredis';
import { SystemClock } from '../../../../src/engine/time/Clock';
import type { Clock } from '../../../../src/engine/time/Clock';
import { LockError } from '../../../../src/engine/port/errors';
import { RedisConnection } from '../../../../src/engine/redis/connection/RedisConnection';
import type { RedisConnectionOptions } from '../../../../src/engine/redis/connection/RedisConnection';
import { Subscription } from '../../../../src/engine/redis/connection/Subscription';
import type { SubscriptionOptions } from '../../../../src/engine/redis/connection/Subscription';
import { refusing } from '../../../fixtures/CommandFilter';
import { freePort } from '../../../fixtures/freePort';
import { RedisServer } from '../../../fixtures/RedisServer';
import { rejection } from '../../../fixtures/rejection';
import { skipWithoutRedis } from '../../../fixtures/sharedServer';
import type { RedisAddress } from '../../../fixtures/sharedServer';
import { TcpProxy } from '../../../fixtures/TcpProxy';
import { until } from '../../../fixtures/until';
import { VirtualClock } from '../../../fixtures/VirtualClock';
import { clientOf, ended, ownClient } from '../../clientOf';

/** What two busy cores may add to a bound, ms. */
const PATIENCE = 4000;

const PATIENT = { connectTimeout: 20_000, commandTimeout: 20_000, wait: 'auto' } as const;
const BRIEF = { connectTimeout: 400, commandTimeout: 400 } as const;

type Settings = RedisConnectionOptions & SubscriptionOptions;
type Options = Partial<Settings> & Parameters<typeof clientOf>[1] & { clock?: Clock };

/** A connection, and the channel that is subscribed on it. */
class Link {
    private readonly _connection: RedisConnection;
    private readonly _subscription: Subscription;

    constructor(
        client: Redis,
        name: string,
        settings: Settings,
        clock: Clock,
        private readonly _onGrant: (what: string) => void,
    ) {
        this._connection = new RedisConnection(client, settings, clock);
        this._subscription = new Subscription(this._connection, name, settings, clock, {
            message: (text) => _onGrant(`message ${text}`),
            renewed: () => _onGrant('reconnected'),
            silent: () => _onGrant('silent'),
            heard: () => _onGrant('heard'),
        });
    }

    get channel(): string {
        return this._subscription.channel;
    }

    get wakes(): boolean {
        return this.channel !== '';
    }

    open(): Promise<void> {
        return this._connection.open({
            prepare: (server) => this._subscription.begin(server),
            ready: () => this._onGrant('reconnected'),
            lost: () => this._onGrant('disconnected'),
            recovered: () => this._onGrant('recovered'),
        });
    }

    send: RedisConnection['send'] = (command) => this._connection.send(command);
    post: RedisConnection['post'] = (...posted) => this._connection.post(...posted);

    async close(): Promise<void> {
        await Promise.all([this._subscription.close(), this._connection.close()]);
    }
}

suite('RedisConnection', function () {
    this.timeout(30_000);
    this.slow(2000);

    let server: RedisServer;
    let proxy: TcpProxy;
    let raw: Redis;
    let told: string[];
    let connections: Link[];
    let proxies: TcpProxy[];

    suiteSetup(skipWithoutRedis);

    setup(async () => {
        server = await RedisServer.start();
        proxy = await TcpProxy.start(server);
        raw = await ownClient(server);
        told = [];
        connections = [];
        proxies = [proxy];
    });

    teardown(async () => {
        await Promise.all(connections.map((one) => one.close()));
        await ended(raw);
        await Promise.all(proxies.map((one) => one.stop()));
        await server.stop();
    });

    /** A connection that was not opened yet. */
    function connectionTo(address: RedisAddress, options: Options = {}): Link {
        const { connectTimeout, commandTimeout, wait, clock = new SystemClock(), ...rest } = { ...PATIENT, ...options };
        const settings = { connectTimeout, commandTimeout, wait };
        const name = String(connections.length);
        const one = new Link(clientOf(address, rest), name, settings, clock, (what) => told.push(what));
        connections.push(one);
        return one;
    }

    async function opened(address: RedisAddress, options: Options = {}): Promise<Link> {
        const one = connectionTo(address, options);
        await one.open();
        return one;
    }

    function ping(connection: Link): Promise<string> {
        return connection.send((client) => client.ping());
    }

    /** Whether a message on its channel reaches the connection. */
    async function hears(connection: Link, clock?: VirtualClock): Promise<void> {
        told = told.filter((one) => one !== 'message hello');
        await until(async () => {
            await clock?.advance(100);
            await raw.publish(connection.channel, 'hello');
            return told.includes('message hello');
        }, 10_000);
    }

    /** How many connections the server has accepted. */
    async function connectionsSoFar(): Promise<number> {
        return Number(/total_connections_received:(\d+)/.exec(await raw.info('stats'))?.[1]);
    }

    function count(what: string): number {
        return told.filter((one) => one === what).length;
    }

    /** Settles with the error and how long it took. */
    async function failure(promise: Promise<unknown>, code: string): Promise<{ error: LockError; took: number }> {
        const start = performance.now();
        const error = await rejection(promise, code);
        assert.instanceOf(error, LockError);
        return { error, took: performance.now() - start };
    }

    suite('open', () => {
        for (const protocol of [3, 2] as const) {
            suite(`with RESP${protocol}`, () => {
                test('resolves when the server answers, and is woken from then on', async () => {
                    const connection = await opened(server, { protocol });
                    assert.isTrue(connection.wakes);
                    assert.strictEqual(await ping(connection), 'PONG');
                    await hears(connection);
                });

                test(`takes ${4 - protocol} connection(s)`, async () => {
                    await opened(proxy, { protocol });
                    assert.strictEqual(proxy.connections, 4 - protocol);
                });

                test('fails at once when the password is wrong', async () => {
                    await raw.config('SET', 'requirepass', 'secret');
                    const { error, took } = await failure(
                        opened(server, { protocol, password: 'guess' }),
                        'WRONG_PASSWORD',
                    );
                    assert.isFalse(error.unknown);
                    assert.isBelow(took, PATIENCE);
                });

                test('fails at once when a password is missing', async () => {
                    await raw.config('SET', 'requirepass', 'secret');
                    const { took } = await failure(opened(server, { protocol }), 'WRONG_PASSWORD');
                    assert.isBelow(took, PATIENCE);
                });

                test('resolves when the password is right', async () => {
                    await raw.config('SET', 'requirepass', 'secret');
                    const connection = await opened(server, { protocol, password: 'secret' });
                    await hears(connection);
                });

                test('polls where the user may not subscribe', async () => {
                    await raw.call('ACL', 'SETUSER', 'deaf', 'on', '>pw', '~*', '+@all', 'resetchannels');
                    const options = { protocol, username: 'deaf', password: 'pw' };
                    const connection = await opened(server, options);
                    assert.isFalse(connection.wakes);
                    assert.strictEqual(await ping(connection), 'PONG');
                    await failure(opened(server, { ...options, wait: 'queue' }), 'NO_PERMISSION');
                });

                for (const command of ['SUBSCRIBE', 'PUBLISH']) {
                    test(`polls behind a proxy that refuses ${command}`, async () => {
                        await using partial = await TcpProxy.start(server, refusing(command));
                        const connection = await opened(partial, { protocol });
                        assert.isFalse(connection.wakes);
                        assert.strictEqual(await ping(connection), 'PONG');
                        assert.strictEqual(partial.connections, 1);
                        await connection.close();
                    });
                }
            });
        }

        test('polls when it is told to, with one connection', async () => {
            const connection = await opened(proxy, { wait: 'poll', protocol: 2 });
            assert.isFalse(connection.wakes);
            assert.strictEqual(proxy.connections, 1);
        });

        test('works with a server that does not know HELLO', async () => {
            await using old = await TcpProxy.start(server, refusing('HELLO'));
            const connection = await opened(old);
            assert.strictEqual(await ping(connection), 'PONG');
            await hears(connection);
            await connection.close();
        });

        test('waits for a server that is loading its data', async () => {
            let asked = 0;
            const before = await connectionsSoFar();
            await using loading = await TcpProxy.start(server, ([command]) => {
                if (command?.toUpperCase() !== 'PING') return null;
                asked += 1;
                return asked <= 3 ? '-LOADING Redis is loading the dataset in memory\r\n' : null;
            });
            const connection = await opened(loading);
            assert.strictEqual(asked, 4);
            assert.strictEqual((await connectionsSoFar()) - before, 1);
            assert.strictEqual(await ping(connection), 'PONG');
            await connection.close();
        });

        test('fails within its time when nobody listens', async () => {
            const nobody = { host: '127.0.0.1', port: await freePort() };
            const { error, took } = await failure(opened(nobody, BRIEF), 'CONNECTION_FAILED');
            assert.isFalse(error.unknown);
            assert.match(error.message, /ECONNREFUSED/);
            assert.isAtLeast(took, 350);
            assert.isBelow(took, 400 + PATIENCE);
        });

        test('fails within its time when the server is frozen', async () => {
            server.freeze();
            const { took } = await failure(opened(server, BRIEF), 'CONNECTION_FAILED');
            assert.isBelow(took, 400 + PATIENCE);
        });

        test('fails within its time when nothing comes back', async () => {
            proxy.pause('toClient');
            const { took } = await failure(opened(proxy, BRIEF), 'CONNECTION_FAILED');
            assert.isBelow(took, 400 + PATIENCE);
            await until(() => proxy.connections === 0);
        });

        test('succeeds when the server comes up within its time', async () => {
            await server.kill();
            const opening = opened(server);
            await server.restart();
            assert.strictEqual(await ping(await opening), 'PONG');
        });

        test('says that it is closed when it is closed meanwhile', async () => {
            server.freeze();
            const connection = connectionTo(server);
            const opening = failure(connection.open(), 'CLOSED');
            await connection.close();
            assert.isBelow((await opening).took, PATIENCE);
        });
    });

    for (const protocol of [3, 2] as const) {
        suite(`with RESP${protocol}`, () => {
            test('survives a restart of the server', async () => {
                const connection = await opened(server, { protocol });
                await server.kill();
                await until(() => count('disconnected') === 1);
                await server.restart();
                assert.strictEqual(await ping(connection), 'PONG');
                assert.isAtLeast(count('reconnected'), 2);
                await hears(connection);
            });

            test('survives many restarts without piling up what it listens with', async () => {
                const connection = await opened(proxy, { protocol });
                for (let time = 0; time < 5; time++) {
                    const before = count('reconnected');
                    proxy.cut();
                    await until(() => count('reconnected') > before, 10_000);
                    assert.strictEqual(await ping(connection), 'PONG');
                }
                await hears(connection);
                told = [];
                await raw.publish(connection.channel, 'once');
                await hears(connection);
                assert.strictEqual(count('message once'), 1);
                assert.strictEqual(proxy.connections, 4 - protocol);
            });

            test('survives that the server kills its connections', async () => {
                const connection = await opened(server, { protocol });
                await raw.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
                await raw.call('CLIENT', 'KILL', 'TYPE', 'pubsub', 'SKIPME', 'yes');
                await hears(connection);
                assert.strictEqual(await ping(connection), 'PONG');
            });

            test('notices a half-open link by a command without an answer, and makes a new one', async () => {
                const connection = await opened(proxy, { protocol, commandTimeout: 400 });
                proxy.pause();
                const { error, took } = await failure(ping(connection), 'CONNECTION_FAILED');
                assert.isTrue(error.unknown);
                assert.isBelow(took, 400 + PATIENCE);
                await until(() => told.includes('disconnected'));
                proxy.resume();
                await until(async () => (await ping(connection).catch(() => '')) === 'PONG', 10_000);
                await hears(connection);
            });

            test('gives up a link on which the handshake is not answered', async () => {
                const connection = await opened(proxy, { protocol, commandTimeout: 400 });
                proxy.cut();
                proxy.pause();
                await failure(ping(connection), 'CONNECTION_FAILED');
                // The proxy holds back the end of each link, so they add up.
                await until(() => proxy.connections >= 4, 20_000);
                proxy.cut();
                proxy.resume();
                await until(async () => (await ping(connection).catch(() => '')) === 'PONG', 10_000);
            });

            test('hears again although the channel could not be subscribed the first time', async () => {
                let subscriptions = 0;
                const flaky = await TcpProxy.start(server, ([command]) => {
                    if (command?.toUpperCase() !== 'SUBSCRIBE') return null;
                    subscriptions += 1;
                    if (subscriptions === 1) setImmediate(() => flaky.cut());
                    return subscriptions === 1 ? '' : null;
                });
                proxies.push(flaky);
                const connection = await opened(flaky, { protocol });
                assert.isTrue(connection.wakes);
                assert.strictEqual(await ping(connection), 'PONG');
                await hears(connection);
            });
        });
    }

    suite('a command', () => {
        test('fails within its time, with an unknown outcome, when the server is frozen', async () => {
            const connection = await opened(server, { commandTimeout: 400 });
            server.freeze();
            const { error, took } = await failure(ping(connection), 'CONNECTION_FAILED');
            assert.isTrue(error.unknown);
            assert.isAtLeast(took, 350);
            assert.isBelow(took, 400 + PATIENCE);
        });

        test('that has failed in time is told of once, whatever comes later', async () => {
            const connection = await opened(server, { commandTimeout: 400 });
            const heard: string[] = [];
            server.freeze();
            connection.post(
                (client) => client.ping(),
                (answer) => heard.push(answer),
                (error) => heard.push(error.message),
            );
            await until(() => heard.length > 0, 10_000);
            server.thaw();
            await until(async () => (await ping(connection).catch(() => '')) === 'PONG', 10_000);
            assert.deepEqual(heard, ['Redis did not answer within 400 ms.']);
        });

        test('that the client refuses by a throw fails as one that it rejects', async () => {
            const connection = await opened(server);
            const throwing = (): never => {
                throw new Error('not this one');
            };
            const { error } = await failure(connection.send(throwing), 'CONNECTION_FAILED');
            assert.include(error.message, 'not this one');
            assert.strictEqual(await ping(connection), 'PONG');
        });

        test('is sent on the next connection when its stream has ended and the client has not noticed', async () => {
            const connection = await opened(server);
            const stream = await connection.send(async (client) => Promise.resolve(client.stream));
            const status = await connection.send(async (client) => {
                client.stream.end();
                return Promise.resolve(client.status);
            });
            assert.strictEqual(status, 'ready');
            assert.isFalse(stream.writable);
            assert.strictEqual(await ping(connection), 'PONG');
            // In the turn in which the server's end of the link is read.
            const next = await connection.send(async (client) => Promise.resolve(client.stream));
            const answer = new Promise((resolve) => {
                next.once('end', () => resolve(ping(connection)));
            });
            await raw.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
            await raw.call('CLIENT', 'KILL', 'TYPE', 'pubsub', 'SKIPME', 'yes');
            assert.strictEqual(await answer, 'PONG');
        });

        test('that the client refuses by itself fails in a later turn of the event loop', async () => {
            const connection = await opened(server);
            let turned = false;
            setImmediate(() => (turned = true));
            await failure(
                connection.send(() => Promise.reject(new Error('not now'))),
                'CONNECTION_FAILED',
            );
            assert.isTrue(turned);
        });

        test('works again when the server is thawed', async () => {
            const connection = await opened(server, { commandTimeout: 400 });
            server.freeze();
            await failure(ping(connection), 'CONNECTION_FAILED');
            server.thaw();
            await until(async () => (await ping(connection).catch(() => '')) === 'PONG', 10_000);
            await hears(connection);
        });

        test('that is under way when the server dies fails at once, with an unknown outcome', async () => {
            const connection = await opened(server);
            server.freeze();
            const under = failure(ping(connection), 'CONNECTION_FAILED');
            await new Promise(setImmediate);
            await server.kill();
            const { error, took } = await under;
            assert.isTrue(error.unknown);
            assert.isBelow(took, PATIENCE);
        });

        test('that cannot be sent fails within its time, and is known not to have been sent', async () => {
            const connection = await opened(server, { commandTimeout: 400 });
            await server.kill();
            await until(() => told.includes('disconnected'));
            const { error, took } = await failure(ping(connection), 'CONNECTION_FAILED');
            assert.isFalse(error.unknown);
            assert.isAtLeast(took, 350);
            assert.isBelow(took, 400 + PATIENCE);
        });

        test('waits for a server that comes back within its time', async () => {
            const connection = await opened(server);
            await server.kill();
            await until(() => told.includes('disconnected'));
            const answer = ping(connection);
            await server.restart();
            assert.strictEqual(await answer, 'PONG');
        });

        test('that waits for the connection is counted from its send', async () => {
            const connection = await opened(server);
            await server.kill();
            await until(() => told.includes('disconnected'));
            const start = performance.now();
            const times = connection.send((client, sentAt) => client.ping().then(() => sentAt));
            await new Promise((resolve) => setTimeout(resolve, 100));
            await server.restart();
            assert.isAtLeast(await times, start + 100);
        });

        test('is never sent twice', async () => {
            const connection = await opened(proxy);
            proxy.pause('toClient');
            const under = failure(
                connection.send((client) => client.incr('counter')),
                'CONNECTION_FAILED',
            );
            await until(async () => (await raw.get('counter')) === '1');
            proxy.cut();
            proxy.resume();
            assert.isTrue((await under).error.unknown);
            assert.strictEqual(await ping(connection), 'PONG');
            assert.strictEqual(await raw.get('counter'), '1');
        });

        test('that the server refuses is known to have no effect', async () => {
            const connection = await opened(server);
            await raw.lpush('list', 'item');
            const wrong = await failure(
                connection.send((client) => client.get('list')),
                'WRONG_TYPE',
            );
            assert.isFalse(wrong.error.unknown);
            const other = await failure(
                connection.send((client) => client.call('NONSENSE')),
                'NOT_SUPPORTED',
            );
            assert.isFalse(other.error.unknown);
            assert.match(other.error.message, /NONSENSE/i);
        });

        test('that the user may not send says NO_PERMISSION', async () => {
            await raw.call('ACL', 'SETUSER', 'reader', 'on', '>pw', '~*', '&*', '+@all', '-set');
            const connection = await opened(server, { username: 'reader', password: 'pw' });
            const { error } = await failure(
                connection.send((client) => client.set('key', 'value')),
                'NO_PERMISSION',
            );
            assert.isFalse(error.unknown);
        });

        test('fails at once when the password was changed and the connection is new', async () => {
            const connection = await opened(server);
            await raw.config('SET', 'requirepass', 'secret');
            await raw.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
            await raw.call('CLIENT', 'KILL', 'TYPE', 'pubsub', 'SKIPME', 'yes');
            await until(() => told.includes('disconnected'));
            const { took } = await failure(ping(connection), 'WRONG_PASSWORD');
            assert.isBelow(took, PATIENCE);
            await raw.config('SET', 'requirepass', '');
            await until(async () => (await ping(connection).catch(() => '')) === 'PONG', 10_000);
        });

        test('before open is refused as what it is', async () => {
            const connection = connectionTo(server, BRIEF);
            await failure(ping(connection), 'CONNECTION_FAILED');
        });
    });

    suite('close', () => {
        test('ends what is under way at once', async () => {
            const connection = await opened(server);
            server.freeze();
            const under = [ping(connection), ping(connection)].map((one) => failure(one, 'CLOSED'));
            await new Promise(setImmediate);
            await connection.close();
            for (const { took } of await Promise.all(under)) assert.isBelow(took, PATIENCE);
        });

        test('ends what waits for the connection at once', async () => {
            const connection = await opened(server);
            await server.kill();
            await until(() => told.includes('disconnected'));
            const waiting = failure(ping(connection), 'CLOSED');
            await connection.close();
            assert.isBelow((await waiting).took, PATIENCE);
        });

        test('refuses what comes later', async () => {
            const connection = await opened(server);
            await connection.close();
            await failure(ping(connection), 'CLOSED');
        });

        test('settles when the sockets are closed, also of a frozen server', async () => {
            const connection = await opened(proxy, { protocol: 2 });
            server.freeze();
            proxy.pause();
            const start = performance.now();
            await connection.close();
            assert.isBelow(performance.now() - start, PATIENCE);
            proxy.resume();
            await until(() => proxy.connections === 0);
        });

        test('before open, and twice, does no harm', async () => {
            const connection = connectionTo(server);
            await connection.close();
            await connection.close();
        });

        test('comes to an end while the server is away', async () => {
            const connection = await opened(server);
            await server.kill();
            await until(() => told.includes('disconnected'));
            const start = performance.now();
            await connection.close();
            assert.isBelow(performance.now() - start, PATIENCE);
        });
    });

    test('gives up a second connection that only listens when it gives no sign of life', async () => {
        const clock = new VirtualClock();
        const connection = await opened(proxy, { protocol: 2, clock });
        told = [];
        proxy.pause();
        await clock.advance(10_000);
        await clock.advance(PATIENT.commandTimeout);
        // The proxy holds back the end of the old link: this is a third one.
        await until(async () => {
            await clock.advance(100);
            return proxy.connections >= 3;
        }, 10_000);
        proxy.cut();
        proxy.resume();
        await until(async () => {
            await clock.advance(100);
            return told.includes('reconnected');
        }, 10_000);
        await hears(connection, clock);
    });

    test('leaves a second connection alone that answers', async () => {
        const clock = new VirtualClock();
        const connection = await opened(server, { protocol: 2, clock });
        const clients = async (): Promise<string> => String(await raw.call('CLIENT', 'LIST', 'TYPE', 'pubsub'));
        const [before] = /id=\d+/.exec(await clients()) ?? [];
        for (let time = 0; time < 5; time++) {
            await clock.advance(10_000);
            await ping(connection);
        }
        await clock.advance(9000);
        assert.include(await clients(), before ?? 'nobody');
    });
});
