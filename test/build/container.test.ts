import type { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { Container as Container3 } from 'pip-services3-container-nodex';
import { ConfigParams, Context, Descriptor, Factory } from 'pip-services4-components-node';
import type { IOpenable, IReferenceable, IReferences } from 'pip-services4-components-node';
import { ConnectionParams, MemoryDiscovery } from 'pip-services4-config-node';
import { Container, ProcessContainer } from 'pip-services4-container-node';
import { DefaultRedisLockFactory } from '../../src';
import type { ILock, LockContext } from '../../src';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection } from '../fixtures/rejection';
import { ServerCommands } from '../fixtures/ServerCommands';
import { sharedServer, skipWithoutRedis } from '../fixtures/sharedServer';
import type { RedisAddress } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';

/** A component that knows nothing of Redis: it wants a lock. */
class Consumer implements IReferenceable, IOpenable {
    lock: ILock | undefined;
    /** Called when it is opened. */
    opening: (() => Promise<void>) | undefined;
    private _opened = false;

    setReferences(references: IReferences): void {
        this.lock = references.getOneRequired<ILock>(new Descriptor('*', 'lock', '*', '*', '1.0'));
    }

    isOpen(): boolean {
        return this._opened;
    }

    async open(): Promise<void> {
        this._opened = true;
        await this.opening?.();
    }

    async close(): Promise<void> {
        this._opened = false;
        return Promise.resolve();
    }

    /** What it is there for. */
    async work(context: LockContext, key: string): Promise<void> {
        await this.lock?.acquireLock(context, key, 20_000, 5000);
    }
}

/** Takes away the listeners that a ProcessContainer leaves at the process. */
class Unheard implements Disposable {
    private readonly _process: EventEmitter = process;
    private readonly _before: Map<string, readonly unknown[]>;

    constructor(...events: readonly string[]) {
        this._before = new Map(events.map((event) => [event, this._process.rawListeners(event)]));
    }

    [Symbol.dispose](): void {
        for (const [event, before] of this._before) {
            for (const listener of this._process.listeners(event)) {
                if (!before.includes(listener)) this._process.removeListener(event, listener as () => void);
            }
        }
    }
}

const CONTEXT = Context.fromTraceId('trace-1');

const CONSUMER = `
- descriptor: "test:consumer:default:default:1.0"
`;
const LOGGER = `
- descriptor: "pip-services:logger:null:default:1.0"
- descriptor: "pip-services:counters:log:default:1.0"
- descriptor: "pip-services:tracer:log:default:1.0"
`;

suite('A lock in a container', () => {
    let folder: string;
    let server: RedisAddress;
    let redis: ServerCommands;
    let consumer: Consumer;
    let containers: Container[];
    let discovery: MemoryDiscovery;
    let key: string;
    let counter = 0;

    suiteSetup(async () => {
        folder = mkdtempSync(join(tmpdir(), 'redis-container-'));
        server = await sharedServer();
        redis = new ServerCommands(server);
    });
    suiteTeardown(async () => {
        await redis[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true });
    });
    setup(() => {
        counter += 1;
        key = `container-${process.pid}-${counter}`;
        consumer = new Consumer();
        discovery = new MemoryDiscovery();
        containers = [];
    });
    teardown(async () => {
        for (const container of containers) await container.close(CONTEXT);
    });

    function file(yaml: string): string {
        const path = join(folder, `${counter}.yml`);
        writeFileSync(path, yaml);
        return path;
    }

    function equip<T extends Container | Container3>(container: T): T {
        const factory = new Factory();
        factory.register(new Descriptor('test', 'consumer', 'default', '*', '1.0'), () => consumer);
        factory.register(new Descriptor('test', 'discovery', 'filled', '*', '1.0'), () => discovery);
        container.addFactory(new DefaultRedisLockFactory());
        container.addFactory(factory);
        if (container instanceof Container) containers.push(container);
        return container;
    }

    function contain(yaml: string, parameters: Record<string, unknown> = {}): Container {
        const container = equip(new Container('test'));
        container.readConfigFromFile(CONTEXT, file(yaml), ConfigParams.fromValue(parameters));
        return container;
    }

    /** It opens, the consumer works under the lock, and closing frees it. */
    async function works(container: Container): Promise<void> {
        await container.open(CONTEXT);
        assert.isTrue(container.isOpen());
        await consumer.work(CONTEXT, key);
        assert.strictEqual(await redis.client.exists(key), 1);
        await container.close(CONTEXT);
        assert.strictEqual(await redis.client.exists(key), 0);
    }

    test('is made of YAML, found by *:lock:*:*:1.0, used, and freed when the container is closed', async () => {
        const { host, port } = server;
        await works(
            contain(`${LOGGER}
- descriptor: "pip-services:lock:redis:default:1.0"
  connection:
    host: "${host}"
    port: ${port}
  options:
    retry_timeout: 50
    keep_alive: true
${CONSUMER}`),
        );
    });

    test('may come after its consumer, for references are set before anything is opened', async () => {
        const { host, port } = server;
        await works(
            contain(`${CONSUMER}
- descriptor: "pip-services:lock:redis:default:1.0"
  connection: { host: "${host}", port: ${port} }
`),
        );
    });

    test('may be used by a consumer that comes first, and works in its open', async () => {
        const { host, port } = server;
        consumer.opening = () => consumer.work(CONTEXT, key);
        const container = contain(`${CONSUMER}
- descriptor: "pip-services:lock:redis:default:1.0"
  connection: { host: "${host}", port: ${port} }
`);
        await container.open(CONTEXT);
        assert.isTrue(container.isOpen());
        assert.strictEqual(await redis.client.exists(key), 1);
        await container.close(CONTEXT);
        assert.strictEqual(await redis.client.exists(key), 0);
    });

    test('that cannot be opened makes a consumer that comes first fail, and the container with it', async () => {
        consumer.opening = () => consumer.work(CONTEXT, key);
        const container = contain(`${CONSUMER}
- descriptor: "pip-services:lock:redis:default:1.0"
  connection: { host: "127.0.0.1", port: 1 }
  options: { connect_timeout: 300 }
`);
        await rejection(container.open(CONTEXT), 'CONNECTION_FAILED');
    });

    test('works in a container of v3, too, whose context is the trace id itself', async () => {
        const { host, port } = server;
        const container = equip(new Container3('test'));
        const yaml = `${LOGGER}
- descriptor: "pip-services:lock:redis:default:1.0"
  connection: { host: "${host}", port: ${port} }
${CONSUMER}`;
        container.readConfigFromFile('trace-1', file(yaml), new ConfigParams());
        await container.open('trace-1');
        await consumer.work('trace-1', key);
        await container.close('trace-1');
        assert.strictEqual(await redis.client.exists(key), 0);
    });

    test('finds its server by a discovery that is filled in code', async () => {
        const { host, port } = server;
        await discovery.register({ get: () => null }, 'redis', ConnectionParams.fromTuples('host', host, 'port', port));
        await works(
            contain(`
- descriptor: "test:discovery:filled:default:1.0"
- descriptor: "pip-services:lock:redis:default:1.0"
  connection:
    discovery_key: redis
${CONSUMER}`),
        );
    });

    test('whose discovery does not know its key makes the container fail, naming the key', async () => {
        const container = contain(`
- descriptor: "test:discovery:filled:default:1.0"
- descriptor: "pip-services:lock:redis:default:1.0"
  connection:
    discovery_key: redis
${CONSUMER}`);
        const error = await rejection(container.open(CONTEXT), 'NO_CONNECTION');
        assert.include(error.message, '"redis"');
        assert.strictEqual(error.trace_id, 'trace-1');
    });

    test('with a wrong option makes the container fail, naming the option', async () => {
        const container = contain(`
- descriptor: "pip-services:lock:redis:default:1.0"
  connection: { host: localhost }
  options:
    ttl: 30s
`);
        // The container says only that it cannot make the component, and keeps the reason as the cause.
        const error = await rejection(container.open(CONTEXT), 'REF_ERROR');
        assert.include(String(error.cause), 'options.ttl');
    });

    const PARAMETERIZED = `
- descriptor: "pip-services:lock:redis:default:1.0"
  connection:
    host: {{REDIS_SERVICE_HOST}}{{#unless REDIS_SERVICE_HOST}}localhost{{/unless}}
    port: {{REDIS_SERVICE_PORT}}{{#unless REDIS_SERVICE_PORT}}6379{{/unless}}
  {{#if REDIS_PASS}}
  credential:
    username: "{{{REDIS_USER}}}"
    password: "{{{REDIS_PASS}}}"
  {{/if}}
${CONSUMER}`;

    test('finds its server by the parameters of the environment', async () => {
        const { host, port } = server;
        await works(contain(PARAMETERIZED, { REDIS_SERVICE_HOST: host, REDIS_SERVICE_PORT: port }));
    });

    test('runs in a ProcessContainer, with parameters of the command line', async () => {
        const container = equip(new ProcessContainer('test'));
        const { host, port } = server;
        using _unheard = new Unheard('SIGINT', 'exit', 'uncaughtException');
        const given = `REDIS_SERVICE_HOST=${host};REDIS_SERVICE_PORT=${port}`;
        const yaml = `- descriptor: "pip-services:logger:null:default:1.0"\n${PARAMETERIZED}`;
        const silent = console.log;
        console.log = () => undefined;
        container.run(['-c', file(yaml), '-p', given]);
        console.log = silent;
        await until(() => consumer.isOpen());
        await consumer.work(CONTEXT, key);
        assert.strictEqual(await redis.client.exists(key), 1);
        await container.close(CONTEXT);
        assert.strictEqual(await redis.client.exists(key), 0);
    });

    suite('with a server of its own', () => {
        let guarded: RedisServer;

        suiteSetup(async function () {
            skipWithoutRedis.call(this);
            const users = ['--user', 'worker', 'on', '>p&ss"w\'rd', '~*', '&*', '+@all'];
            guarded = await RedisServer.start({ args: [...users, '--requirepass', 'everybody'] });
        });
        suiteTeardown(() => guarded?.stop());

        async function opens(container: Container): Promise<void> {
            await container.open(CONTEXT);
            assert.isTrue(await consumer.lock?.tryAcquireLock(CONTEXT, key, 1000));
            await container.close(CONTEXT);
        }

        test('finds its credentials in a credential store of YAML', async () => {
            const yaml = (storeKey: string): string => `
- descriptor: "pip-services:credential-store:memory:default:1.0"
  redis:
    password: everybody
- descriptor: "pip-services:lock:redis:default:1.0"
  connection: { host: "${guarded.host}", port: ${guarded.port} }
  credential:
    store_key: ${storeKey}
${CONSUMER}`;
            await opens(contain(yaml('redis')));
            const error = await rejection(contain(yaml('other')).open(CONTEXT), 'NO_CREDENTIAL');
            assert.include(error.message, '"other"');
        });

        test('finds its credentials by the parameters of the environment, whatever they are made of', async () => {
            await opens(
                contain(PARAMETERIZED, {
                    REDIS_SERVICE_HOST: guarded.host,
                    REDIS_SERVICE_PORT: guarded.port,
                    REDIS_USER: 'worker',
                    REDIS_PASS: 'p&ss"w\'rd',
                }),
            );
        });
    });
});
