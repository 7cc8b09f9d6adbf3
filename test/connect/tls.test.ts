import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import type { RedisLock } from '../../src';
import { freePort } from '../fixtures/freePort';
import { KeepAliveThreads } from '../fixtures/keepAliveThreads';
import { RedisServer } from '../fixtures/RedisServer';
import { rejection, type Rejection } from '../fixtures/rejection';
import { skip } from '../fixtures/serverVersion';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { lockOf } from '../lock/lockOf';
import type { Settings } from '../lock/lockOf';
import { Authority } from './certificates';
import type { Certificate } from './certificates';

suite('TLS', () => {
    const authority = new Authority('the test authority');
    const client = authority.issue('client');
    let folder: string;
    let server: RedisServer | undefined;
    let port: number;
    let lock: RedisLock;
    let files = 0;

    suiteSetup(async function () {
        skipWithoutRedis.call(this);
        folder = mkdtempSync(join(tmpdir(), 'redis-tls-'));
        port = await freePort();
        server = await RedisServer.start({ args: serving(port, authority.issue('127.0.0.1'), 'optional') }).catch(
            (error: unknown) => {
                if (!/Bad directive|Unrecognized|built with TLS/i.test(String(error))) throw error;
                return skip(this, 'this redis-server was built without TLS');
            },
        );
    });
    suiteTeardown(async () => {
        await server?.stop();
        if (folder !== undefined) rmSync(folder, { recursive: true });
    });
    teardown(() => lock.close(null));

    /** The path of a file that holds this text. */
    function file(text: string): string {
        files += 1;
        const path = join(folder, `${files}.pem`);
        writeFileSync(path, text);
        return path;
    }

    /** Arguments of a server that speaks TLS on a port of its own, and may ask for client certificates. */
    function serving(at: number, { cert, key }: Certificate, asks: 'yes' | 'no' | 'optional'): string[] {
        const texts = [
            '--tls-ca-cert-file',
            file(authority.cert),
            '--tls-cert-file',
            file(cert),
            '--tls-key-file',
            file(key),
        ];
        return ['--tls-port', String(at), '--tls-auth-clients', asks, ...texts];
    }

    function make(settings: Settings): RedisLock {
        lock = lockOf({ host: '127.0.0.1', port }, settings);
        return lock;
    }

    async function works(settings: Settings): Promise<void> {
        await make(settings).open(null);
        assert.isTrue(await lock.tryAcquireLock(null, 'tls', 5000));
        await lock.releaseLock(null, 'tls');
    }

    async function refused(settings: Settings, cause: RegExp): Promise<Rejection> {
        let error: Rejection | undefined;
        // On a machine with much to do one attempt may take longer.
        for (let patience = 400; patience < 20_000; patience *= 3) {
            const opening = make({ ...settings, 'options.connect_timeout': patience }).open('trace-1');
            // oxlint-disable-next-line no-await-in-loop
            error = await rejection(opening, 'CONNECTION_FAILED');
            if (cause.test(error.message)) break;
        }
        if (error === undefined) assert.fail();
        assert.match(error.message, cause);
        assert.strictEqual(error.constructor.name, 'ConnectionException');
        return error;
    }

    test('works with the authority given as PEM text', async () => {
        await works({ 'options.tls.ca': authority.cert });
    });

    test('works with the authority given as a file', async () => {
        await works({ 'options.tls.ca': file(authority.cert) });
    });

    test('works by a rediss:// uri', async () => {
        const settings = { 'connection.uri': `rediss://127.0.0.1:${port}/3`, 'options.tls.ca': authority.cert };
        lock = lockOf({ host: 'nowhere.invalid', port: 1 }, settings);
        await lock.open(null);
        assert.isTrue(await lock.tryAcquireLock(null, 'tls', 5000));
    });

    test('works with a client certificate, given as text or as files', async () => {
        const ca = { 'options.tls.ca': authority.cert };
        await works({ ...ca, 'options.tls.cert': client.cert, 'options.tls.key': client.key });
        await lock.close(null);
        await works({ ...ca, 'options.tls.cert': file(client.cert), 'options.tls.key': file(client.key) });
    });

    test('is that of the keep-alive thread, too', async () => {
        using threads = new KeepAliveThreads();
        const { cert, key } = client;
        const settings = {
            'options.tls.ca': file(authority.cert),
            'options.tls.cert': file(cert),
            'options.tls.key': key,
        };
        await make({ ...settings, 'options.keep_alive_thread': true }).open(null);
        await threads.ready();
    });

    test('is refused where the server wants a client certificate and there is none', async () => {
        const strict = await freePort();
        await using demanding = await RedisServer.start({ args: serving(strict, authority.issue('127.0.0.1'), 'yes') });
        assert.isAbove(demanding.port, 0);
        const ca = { 'connection.port': strict, 'options.tls.ca': authority.cert };
        await refused(ca, /certificate required|ECONNRESET|closed/i);
        await lock.close(null);
        await works({ ...ca, 'options.tls.cert': client.cert, 'options.tls.key': client.key });
    });

    test('refuses a server of another authority, and says why', async () => {
        const error = await refused(
            { 'options.tls.ca': new Authority('another authority').cert },
            /certificate|signature/i,
        );
        assert.match(error.message, /within \d+ ms/);
        assert.isFalse(lock.isOpen());
    });

    test('refuses a server whose authority is not among those that are known anyway, and says why', async () => {
        await refused({ 'options.tls.reject_unauthorized': true }, /certificate/i);
    });

    test('refuses a server of another name, unless tls.servername says so', async () => {
        const settings = { 'options.tls.ca': authority.cert, 'connection.host': 'localhost' };
        await refused(settings, /does not match certificate|altnames/i);
        await lock.close(null);
        await refused({ ...settings, 'options.tls.servername': 'redis.example' }, /redis\.example/);
    });

    test('refuses a server whose certificate has expired', async () => {
        const late = await freePort();
        await using expired = await RedisServer.start({
            args: serving(late, authority.issue('127.0.0.1', true), 'no'),
        });
        assert.isAbove(expired.port, 0);
        await refused({ 'connection.port': late, 'options.tls.ca': authority.cert }, /expired/i);
    });

    test('asks for the certificate of tls.servername', async () => {
        const named = await freePort();
        await using other = await RedisServer.start({ args: serving(named, authority.issue('redis.example'), 'no') });
        assert.isAbove(other.port, 0);
        const ca = { 'connection.port': named, 'options.tls.ca': authority.cert };
        await refused(ca, /does not match certificate|altnames/i);
        await lock.close(null);
        await works({ ...ca, 'options.tls.servername': 'redis.example' });
    });

    test('takes any certificate with tls.reject_unauthorized false', async () => {
        await works({ 'options.tls.reject_unauthorized': false });
    });

    test('is refused by a server that does not speak it', async () => {
        const settings = { 'connection.port': server?.port ?? 0, 'options.tls.ca': authority.cert };
        await refused(settings, /does not (answer to|speak) TLS/);
    });

    test('is needed by a server that speaks nothing else', async () => {
        await refused({}, /ended the connection at HELLO\. Perhaps it wants TLS/);
    });
});
