import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { ApplicationException } from 'pip-services4-commons-node';
import { CompositeFactory, ConfigParams, Context, ContextResolver, Descriptor } from 'pip-services4-components-node';
import { References, type IContext } from 'pip-services4-components-node';
import { ConnectionParams, ConnectionResolver, CredentialResolver } from 'pip-services4-config-node';
import { DefaultConfigFactory, MemoryDiscovery, YamlConfigReader } from 'pip-services4-config-node';
import { Container } from 'pip-services4-container-node';
import { rejection } from '../fixtures/rejection';

const context = Context.fromTraceId('123');

/** What the stand-ins add to the v3 classes: what v4 changed, with its traps. */
suite('The stand-ins for the v4 packages', () => {
    test('read the trace id as version 0.0.6 does: null has none, a string throws', () => {
        assert.strictEqual(ContextResolver.getTraceId(context), '123');
        assert.strictEqual(ContextResolver.getTraceId(Context.fromTuples('traceId', 5)), '5');
        assert.isNull(ContextResolver.getTraceId(Context.fromTuples('user', 'x')));
        assert.isNull(ContextResolver.getTraceId(null as unknown as IContext));
        assert.throws(() => ContextResolver.getTraceId('123' as unknown as IContext), TypeError);
    });

    test('have a container whose console logger takes no string as context, and takes null', async () => {
        const yaml = '- descriptor: "pip-services:logger:console:default:1.0"\n  level: trace\n';
        const folder = mkdtempSync(join(tmpdir(), 'standins-'));
        writeFileSync(join(folder, 'c.yml'), yaml);
        const silent = console.log;
        console.log = () => undefined;
        try {
            for (const closing of ['123', null, context] as IContext[]) {
                const container = new Container('test');
                container.readConfigFromFile(context, join(folder, 'c.yml'), new ConfigParams());
                await container.open(context);
                const closed = container.close(closing).then(
                    () => 'closed',
                    (error: unknown) => error,
                );
                if (typeof closing === 'string') assert.match(String(await closed), /context\.get is not a function/);
                else assert.strictEqual(await closed, 'closed');
            }
        } finally {
            console.log = silent;
            rmSync(folder, { recursive: true });
        }
    });

    test('reject with v4 exceptions where a resolver fails', async () => {
        const references = References.fromTuples();
        const config = ConfigParams.fromTuples('connection.discovery_key', 'a', 'credential.store_key', 'a');
        for (const failure of [
            await rejection(new ConnectionResolver(config, references).resolve(context), 'REF_ERROR'),
            await rejection(new ConnectionResolver(config, references).resolveAll(context), 'REF_ERROR'),
            await rejection(new CredentialResolver(config, references).lookup(context), 'REF_ERROR'),
        ]) {
            assert.instanceOf(failure, ApplicationException);
            assert.strictEqual(failure.trace_id, '123');
            assert.match(failure.details?.getAsString('locator') ?? '', /discovery|credential-store/);
        }
    });

    test('throw v4 exceptions where a reference, a component or a file is missing', async () => {
        const descriptor = new Descriptor('*', 'lock', '*', '*', '1.0');
        for (const [code, call] of [
            ['REF_ERROR', () => References.fromTuples().getOneRequired(descriptor)],
            ['CANNOT_CREATE', () => new CompositeFactory().create(descriptor)],
            ['READ_FAILED', () => YamlConfigReader.readConfig(context, '/no/such.yml', new ConfigParams())],
        ] as const) {
            assert.instanceOf(await rejection(Promise.resolve().then(call), code), ApplicationException);
        }
    });

    test('resolve through a discovery that the factory makes', async () => {
        const descriptor = new Descriptor('pip-services', 'discovery', 'memory', 'default', '1.0');
        const discovery: unknown = new DefaultConfigFactory().create(descriptor);
        assert.instanceOf(discovery, MemoryDiscovery);
        await discovery.register(context, 'a', ConnectionParams.fromTuples('host', 'redis.example'));
        const config = ConfigParams.fromTuples('connection.discovery_key', 'a');
        const resolver = new ConnectionResolver(config, References.fromTuples(descriptor, discovery));
        assert.strictEqual((await resolver.resolve(context)).getHost(), 'redis.example');
    });
});
