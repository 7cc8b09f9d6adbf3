import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from 'chai';
import { Redis } from 'ioredis';
import type { RedisLock } from '../../src';
import { DOCUMENTED_RULE } from '../connect/rights';
import { RedisServer } from '../fixtures/RedisServer';
import { ServerCommands } from '../fixtures/ServerCommands';
import { skipWithoutRedis } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';
import { lockOf } from '../lock/lockOf';
import type { LockReport } from '../../src/bin/LockReport';
import { Cli } from './Cli';

suite('redis-lock', function () {
    // Each test starts processes, one after the other.
    this.timeout(120_000);
    let server: RedisServer;
    let redis: Redis;
    let lock: RedisLock;
    let running: Cli[];
    let folder: string;

    suiteSetup(skipWithoutRedis);
    suiteSetup(async () => {
        server = await RedisServer.start();
        redis = new Redis(server.port);
        folder = mkdtempSync(join(tmpdir(), 'redis-lock-'));
    });
    suiteTeardown(async () => {
        redis?.disconnect();
        await server?.stop();
        if (folder !== undefined) rmSync(folder, { recursive: true });
    });
    setup(async () => {
        running = [];
        await redis.flushall();
        lock = lockOf(server);
        await lock.open(null);
    });
    teardown(async () => {
        await Promise.all(running.map((cli) => cli.end()));
        await lock.close(null);
    });

    function start(...args: string[]): Cli {
        const cli = new Cli(args, server);
        running.push(cli);
        return cli;
    }

    async function done(...args: string[]): Promise<Cli & { readonly code: number }> {
        const cli = start(...args);
        cli.answer('');
        return Object.assign(cli, { code: await cli.ended });
    }

    /** The file of a container whose lock looks for Redis where there is none. */
    function impatient(): string {
        const file = join(folder, 'impatient.yml');
        const text = '- descriptor: "pip-services:lock:redis:default:1.0"\n  connection: { port: 1 }\n';
        writeFileSync(file, `${text}  options: { connect_timeout: 100 }\n`);
        return file;
    }

    function json(cli: Cli): Record<string, unknown> {
        return JSON.parse(cli.stdout) as Record<string, unknown>;
    }

    suite('run', () => {
        test('gives the command the lock, its exit code to the caller, and the lock back', async () => {
            const names = ['KEY', 'HOLDER', 'FENCE'].map((name) => `$REDIS_LOCK_${name}`).join(' ');
            const cli = start('run', 'job', '--', 'sh', '-c', `echo ${names}; read line; exit 7`);
            await cli.said('\n');
            const [key, holder, fence] = cli.stdout.trim().split(' ');
            const info = await lock.inspect(null, 'job');
            assert.deepEqual([key, holder, Number(fence)], ['job', info.holder, info.fence]);
            assert.include(holder, `:${cli.process.pid}:`);
            cli.answer('go\n');
            assert.strictEqual(await cli.ended, 7);
            assert.strictEqual((await lock.inspect(null, 'job')).holder, undefined);
        });

        test('keeps the lock alive', async () => {
            const cli = start('run', 'job', '--ttl', '2s', '--', 'sh', '-c', 'echo on; read line');
            await cli.said('on');
            const { holder } = await lock.inspect(null, 'job');
            await until(async () => ((await lock.inspect(null, 'job')).held ?? 0) > 4500, 8000);
            assert.strictEqual((await lock.inspect(null, 'job')).holder, holder);
            cli.answer('');
            await cli.ended;
        });

        test('passes options of the command on', async () => {
            const cli = await done('run', 'job', '--', 'echo', '--ttl', '-E');
            assert.deepEqual([cli.stdout, cli.code], ['--ttl -E\n', 0]);
        });

        test('waits for the lock', async () => {
            const lease = await lock.acquire(null, 'job');
            const cli = start('run', 'job', '--', 'echo', 'done');
            await until(async () => (await lock.inspect(null, 'job')).waiters.length === 1, 5000);
            await lease.release();
            assert.strictEqual(await cli.ended, 0);
            assert.strictEqual(cli.stdout, 'done\n');
        });

        test('says who holds the lock, and how many are before it, when it is asked to', async () => {
            const lease = await lock.acquire(null, 'job');
            const others = [
                lock.acquire(null, 'job', { timeout: Infinity }),
                lock.acquire(null, 'job', { timeout: Infinity }),
            ];
            await until(async () => (await lock.inspect(null, 'job')).waiters.length === 2, 5000);
            const cli = start('run', 'job', '--verbose', '--', 'echo', 'done');
            await cli.said(/waiting for job: held by .*2 others are before this one\n/);
            assert.include(cli.stderr, `held by ${lease.holder} for `);
            await lease.release();
            for (const other of others) await (await other).release();
            assert.strictEqual(await cli.ended, 0);
            // Unless it is asked, or on a terminal, it is silent.
            const held = await lock.acquire(null, 'job');
            const silent = start('run', 'job', '--timeout', '1s', '--', 'true');
            assert.strictEqual(await silent.ended, 1);
            assert.notInclude(silent.stderr, 'waiting for');
            await held.release();
        });

        test('says with 1, or as it was told, that the lock was busy', async () => {
            await lock.acquire(null, 'job');
            const tried = await done('run', 'job', '--try', '--', 'echo', 'no');
            assert.deepEqual([tried.code, tried.stdout], [1, '']);
            assert.include(tried.stderr, 'busy');
            const waited = await done('run', 'job', '--timeout', '50ms', '-E', '33', '--', 'echo', 'no');
            assert.deepEqual([waited.code, waited.stdout], [33, '']);
        });

        test('shares the lock, and shows all holders', async () => {
            const command = ['--', 'sh', '-c', 'echo on; read line'];
            const [one, other] = [
                start('run', 'job', '--shared', ...command),
                start('run', 'job', '--shared', ...command),
            ];
            await one.said('on');
            await other.said('on');
            const { holders, mode } = json(await done('status', 'job', '--json')) as unknown as LockReport;
            assert.strictEqual(mode, 'shared');
            assert.sameMembers(
                holders.map(({ pid }) => pid),
                [one, other].map((cli) => cli.process.pid),
            );
            assert.include((await done('status', 'job')).stdout, 'job is shared by 2\n');
            assert.lengthOf((await done('list')).stdout.match(/^job +shared /gm) ?? [], 2);
            assert.strictEqual((await done('run', 'job', '--try', '--', 'true')).code, 1);
            const watching = start('watch', '--interval', '100ms');
            await watching.said(/job shared by .*holders 2/);
            one.answer('go\n');
            assert.strictEqual(await one.ended, 0);
            await watching.said(/job left by .*holders 1/);
            other.answer('go\n');
            assert.strictEqual(await other.ended, 0);
            await watching.said(/job free, was held by/);
        });

        test('takes permits of a limit', async () => {
            const two = ['run', 'job', '--limit', '5', '--permits', '2'];
            const [one, other] = [start(...two, '--', 'sh', '-c', 'echo on; read line'), start(...two, '--', 'cat')];
            await one.said('on');
            await until(async () => (await lock.inspect(null, 'job')).holders.length === 2, 8000);
            assert.strictEqual((await done(...two, '--try', '--', 'true')).code, 1);
            assert.strictEqual((await done('run', 'job', '--limit', '5', '--try', '--', 'true')).code, 0);
            assert.include((await done('list')).stdout, '2 permits');
            for (const cli of [one, other]) cli.answer('go\n');
            assert.deepEqual(await Promise.all([one.ended, other.ended]), [0, 0]);
        });

        test('keeps the lock for as long as it is told, also when the command is over sooner', async () => {
            assert.strictEqual((await done('run', 'job', '--at-least', '1m', '--', 'true')).code, 0);
            assert.isAbove((await lock.inspect(null, 'job')).remaining, 20_000);
            assert.strictEqual((await done('run', 'job', '--try', '--', 'true')).code, 1);
        });

        test('says with 127 and 126 that there is no command, or that it cannot be run, and frees the lock', async () => {
            assert.strictEqual((await done('run', 'job', '--', 'no-such-command')).code, 127);
            const file = join(folder, 'not-executable');
            writeFileSync(file, '');
            const cli = await done('run', 'job', '--', file);
            assert.strictEqual(cli.code, 126);
            assert.include(cli.stderr, 'cannot run');
            assert.strictEqual((await lock.inspect(null, 'job')).holder, undefined);
        });

        for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) {
            test(`passes ${signal} on, once, to all that the command started`, async () => {
                const name = signal.slice(3);
                const inner = `trap "echo inner; exit" ${name}; echo on; while :; do sleep 0.02; done`;
                const cli = start(
                    'run',
                    'job',
                    '--',
                    'sh',
                    '-c',
                    `trap 'echo outer; wait; exit 9' ${name}; sh -c '${inner}' & wait`,
                );
                await cli.said('on');
                cli.kill(signal);
                assert.strictEqual(await cli.ended, 9);
                assert.sameMembers(cli.stdout.trim().split('\n'), ['on', 'inner', 'outer']);
                assert.strictEqual((await lock.inspect(null, 'job')).holder, undefined);
            });
        }

        test('says with 128 and its number which signal ended the command', async () => {
            const cli = start('run', 'job', '--', 'sh', '-c', 'echo on; exec sleep 60');
            await cli.said('on');
            cli.kill('SIGTERM');
            assert.strictEqual(await cli.ended, 128 + 15);
        });

        test('leaves the line when it is stopped, and runs nothing', async () => {
            await lock.acquire(null, 'job');
            const cli = start('run', 'job', '--', 'echo', 'no');
            await until(async () => (await lock.inspect(null, 'job')).waiters.length === 1, 5000);
            cli.kill('SIGINT');
            assert.strictEqual(await cli.ended, 128 + 2);
            assert.strictEqual(cli.stdout, '');
            assert.isEmpty((await lock.inspect(null, 'job')).waiters);
        });

        test('ends the command with SIGTERM when the lock is lost, and says so with 75', async () => {
            const cli = start(
                'run',
                'job',
                '--ttl',
                '3s',
                '--',
                'sh',
                '-c',
                "trap 'echo ended; exit 0' TERM; echo on; while :; do sleep 0.02; done",
            );
            await cli.said('on');
            await lock.forceRelease(null, 'job', { by: 'a test', reason: 'to see it' });
            assert.strictEqual(await cli.ended, 75);
            assert.include(cli.stdout, 'ended');
            assert.include(cli.stderr, 'lost; the command gets SIGTERM');
        });

        test('ends a command that does not listen with SIGKILL, and all that it started', async () => {
            const stubborn = "trap '' TERM; echo $$; while :; do sleep 0.02; done";
            const args = ['--ttl', '3s', '--kill-after', '200ms', '--signal-on-loss', 'term'];
            const cli = start(
                'run',
                'job',
                ...args,
                '--',
                'sh',
                '-c',
                `sh -c '${stubborn.replaceAll("'", '"')}' & ${stubborn}`,
            );
            await cli.said(/\d\n\d+\n/);
            await redis.del('job');
            assert.strictEqual(await cli.ended, 75);
            for (const pid of cli.stdout.trim().split('\n').map(Number)) {
                await until(() => !isAlive(pid));
            }
        });

        test('says with 75 that the lock was lost while it could not know', async () => {
            const cli = start('run', 'job', '--', 'sh', '-c', 'echo on; read line');
            await cli.said('on');
            await redis.del('job');
            cli.answer('');
            assert.strictEqual(await cli.ended, 75);
            assert.include(cli.stderr, 'had been lost');
        });

        test('gives the exit code of the command when the lock cannot be released', async () => {
            await using own = await RedisServer.start();
            const config = join(folder, 'short.yml');
            const text = `- descriptor: "pip-services:lock:redis:default:1.0"\n  connection: { host: ${own.host}, port: ${own.port} }\n`;
            writeFileSync(config, `${text}  options: { command_timeout: 2000 }\n`);
            const cli = start('run', 'job', '--config', config, '--', 'sh', '-c', 'echo on; read line; exit 5');
            await cli.said('on');
            own.freeze();
            cli.answer('');
            assert.strictEqual(await cli.ended, 5);
            assert.include(cli.stderr, 'could not be released');
        });

        test('hides passwords from the command, and from those who look at the processes', async () => {
            await redis.call('ACL', 'SETUSER', 'cli', 'reset', 'on', '>se/cret', '+@all', '~*', '&*');
            const print = 'env | grep -c se/cret; tr "\\0" " " < /proc/$PPID/cmdline 2>/dev/null; echo .';
            const uri = `redis://cli:se%2Fcret@${server.host}:${server.port}`;
            const password = { REDIS_USER: 'cli', REDIS_PASS: 'se/cret', REDIS_URI: '' };
            for (const [args, environment] of [
                [['--uri', uri], {}],
                [[], password],
                [[], { REDIS_URI: uri }],
            ] as const) {
                const cli = new Cli(['run', 'job', ...args, '--', 'sh', '-c', print], server, environment);
                running.push(cli);
                assert.strictEqual(await cli.ended, 0, cli.stderr);
                assert.match(cli.stdout, /^0\n/);
                assert.notInclude(cli.stdout, 'cret');
            }
        });
    });

    suite('lead', () => {
        /** A command that says its fence, and goes on until it is ended. */
        const LEADER = "trap 'echo ended; exit 0' TERM; echo leads $REDIS_LOCK_FENCE $$; while :; do sleep 0.02; done";

        function leader(...options: string[]): Cli {
            return start('lead', 'job', '--ttl', '3s', ...options, '--', 'sh', '-c', LEADER);
        }

        function fencesOf(cli: Cli): number[] {
            return [...cli.stdout.matchAll(/leads (\d+)/g)].map(([, fence]) => Number(fence));
        }

        /** Kills redis-lock and its command, as a host that goes down does. */
        function killWithCommand(cli: Cli): void {
            cli.kill('SIGKILL');
            for (const [, pid] of cli.stdout.matchAll(/leads \d+ (\d+)/g)) process.kill(-Number(pid), 'SIGKILL');
        }

        test('runs the command while it leads, and leaves with its exit code when it ends by itself', async () => {
            const cli = start('lead', 'job', '--', 'sh', '-c', 'echo on; read line; exit 7');
            await cli.said('on');
            assert.isDefined((await lock.inspect(null, 'job')).holder);
            cli.answer('go\n');
            assert.strictEqual(await cli.ended, 7);
            assert.isUndefined((await lock.inspect(null, 'job')).holder);
        });

        test('ends the command at a loss, waits, and starts it again with a greater fence', async () => {
            const cli = leader('--verbose');
            await cli.said(/leads \d+ \d+\n/);
            const other = lock.acquire(null, 'job', { timeout: Infinity });
            await until(async () => (await lock.inspect(null, 'job')).waiters.length === 1);
            await lock.forceRelease(null, 'job', { by: 'a test', reason: 'to see it' });
            const lease = await other;
            await cli.said('ended');
            await cli.said(/waiting for job: held by/);
            assert.lengthOf(fencesOf(cli), 1);
            await lease.release();
            await cli.said(/ended\nleads \d+ \d+\n/);
            const [first = 0, second = 0] = fencesOf(cli);
            assert.isTrue(first < lease.fence && lease.fence < second);
            assert.match(cli.stderr, /lost; the command gets SIGTERM\n[^]*leads job with fence/);
            cli.kill('SIGTERM');
            assert.strictEqual(await cli.ended, 0);
            assert.isUndefined((await lock.inspect(null, 'job')).holder);
        });

        test('leads on another host when the leader is killed with its command', async () => {
            const [one, other] = [leader(), leader()];
            await until(() => fencesOf(one).length + fencesOf(other).length === 1, 10_000);
            const [first, second] = fencesOf(one).length === 1 ? [one, other] : [other, one];
            killWithCommand(first);
            await until(() => fencesOf(second).length === 1, 10_000);
            assert.isAbove(fencesOf(second)[0] ?? 0, fencesOf(first)[0] ?? Infinity);
        });

        test('does not start the command again that it was told to stop', async () => {
            // It takes its time to end, in which the lock is lost, too.
            const slow = "trap 'echo stopping; read line; exit 0' TERM; echo leads; while :; do sleep 0.02; done";
            const cli = start('lead', 'job', '--ttl', '3s', '--kill-after', '1m', '--', 'sh', '-c', slow);
            await cli.said('leads');
            cli.kill('SIGTERM');
            await cli.said('stopping');
            await lock.forceRelease(null, 'job', { by: 'a test', reason: 'to see it' });
            await cli.said('was lost');
            cli.answer('go\n');
            assert.strictEqual(await cli.ended, 128 + 15);
            assert.lengthOf(cli.stdout.match(/leads/g) ?? [], 1);
        });

        test('leaves the line when it is stopped, and runs nothing', async () => {
            await lock.acquire(null, 'job');
            const cli = leader();
            await until(async () => (await lock.inspect(null, 'job')).waiters.length === 1);
            cli.kill('SIGINT');
            assert.strictEqual(await cli.ended, 128 + 2);
            assert.isEmpty(fencesOf(cli));
            assert.isEmpty((await lock.inspect(null, 'job')).waiters);
        });

        test('says with 127 that there is no command, and with 69 that Redis refuses', async () => {
            assert.strictEqual((await done('lead', 'job', '--', 'no-such-command')).code, 127);
            await redis.rpush('list', 'no string');
            assert.strictEqual((await done('lead', 'list', '--', 'true')).code, 69);
        });
    });

    suite('status', () => {
        test('tells who holds a lock and who waits for it', async () => {
            const lease = await lock.acquire(null, 'job');
            const waiting = lock.acquire(null, 'job', { holder: 'the-next', timeout: Infinity });
            await until(async () => (await lock.inspect(null, 'job')).waiters.length === 1);
            const cli = await done('status', 'job');
            assert.strictEqual(cli.code, 0);
            for (const text of ['job is held', lease.holder, `pid ${process.pid}`, String(lease.fence), 'the-next']) {
                assert.include(cli.stdout, text);
            }
            assert.match(cli.stdout, /held +for \S+s, since (\S+ )?\d\d:\d\d:\d\d\n/);
            const { held, holders, remaining, waiters, ...rest } = json(await done('status', 'job', '--json'));
            const [host, pid] = lease.holder.split(':');
            const expected = {
                key: 'job',
                mode: 'exclusive',
                holder: lease.holder,
                host,
                pid: Number(pid),
                fence: lease.fence,
            };
            assert.deepEqual(rest, expected);
            assert.isAbove(Number(held), 0);
            assert.isAbove(Number(remaining), 0);
            const { key: _, mode: __, ...first } = expected;
            assert.deepEqual(holders, [{ ...first, held, remaining, permits: 1 }]);
            assert.include(JSON.stringify(waiters), '"holder":"the-next"');
            await lease.release();
            await (await waiting).release();
        });

        test('says with 1 that a lock is free', async () => {
            const cli = await done('status', 'job');
            assert.deepEqual([cli.code, cli.stdout], [1, 'job is free\n']);
            assert.isNull(json(await done('status', 'job', '--json'))['holder']);
        });

        test('tells of a holder that is no user of this library', async () => {
            await redis.set('job', 'some\u001b[31mtoken');
            const cli = await done('status', 'job');
            assert.include(cli.stdout, 'some?[31mtoken');
            assert.include(cli.stdout, 'never');
        });
    });

    suite('list', () => {
        test('shows the locks that fit', async () => {
            await lock.acquire(null, ['job:1', 'job:2', 'other']);
            const cli = await done('list', 'job:*');
            const [head, ...rows] = cli.stdout.trim().split('\n');
            assert.match(head ?? '', /^KEY +MODE +HOST +PID +HELD +TTL +FENCE +WAITERS$/);
            assert.deepEqual(
                rows.map((row) => row.split(/ +/)[0]),
                ['job:1', 'job:2'],
            );
            assert.strictEqual(cli.code, 0);
            const lines = (await done('list', '--json')).stdout.trim().split('\n');
            assert.deepEqual(
                lines.map((line) => (JSON.parse(line) as { key: string }).key),
                ['job:1', 'job:2', 'other'],
            );
        });

        test('shows nothing when nothing is held, to who reads its output', async () => {
            assert.strictEqual((await done('list')).stdout, '');
        });

        test('says on a terminal that nothing is held', async function () {
            const cli = new Cli(['list', 'job:*'], server, {}, 'terminal');
            running.push(cli);
            if (!cli.hasTerminal) {
                console.log('      skipped: there is no program "script" that gives a terminal');
                return this.skip();
            }
            assert.strictEqual(await cli.ended, 0);
            assert.include(cli.stdout, 'no lock is held whose key is like job:*');
        });

        test('shows no key and no holder that a terminal would take for a command', async function () {
            // Seven processes, one after the other.
            this.timeout(60_000);
            const key = 'job\u001b]0;x\u0007\u009b2J\u202e';
            const { holder } = await lock.acquire(null, key);
            await redis.set('job', 'mine\u001b[2J\u009b');
            for (const [shown, ...args] of [
                ['job?]0;x??2J?', 'list'],
                ['job?]0;x??2J?', 'status', key],
                ['job?]0;x??2J?', 'run', key, '--try', '--', 'true'],
                ['mine?[2J?', 'status', 'job'],
                ['mine?[2J?', 'run', 'job', '--try', '--', 'true'],
            ] as const) {
                const cli = await done(...args);
                const said = cli.stdout + cli.stderr;
                assert.include(said, shown, args.join(' '));
                assert.notMatch(said, /[^\P{C}\n]/u, args.join(' '));
            }
            const read = (await done('list', '--json')).stdout;
            assert.match(read, /^[ -~]+\n$/);
            assert.deepInclude(JSON.parse(read), { key, holder });
            assert.notInclude((await done('sta\u001b[2Jtus')).stderr, '\u001b');
        });
    });

    suite('watch', () => {
        test('tells every change, a line for each, until it is stopped', async () => {
            const cli = start('watch', 'job*', '--interval', '100ms');
            const lease = await lock.acquire(null, 'job');
            await cli.said(`job held by ${lease.holder}, fence ${lease.fence}, waiters 0`);
            await lease.release();
            await cli.said(`job free, was held by ${lease.holder}`);
            cli.kill('SIGINT');
            assert.strictEqual(await cli.ended, 0);
            assert.lengthOf(cli.stdout.trim().split('\n'), 2);
        });

        test('tells it as JSON', async () => {
            const { holder } = await lock.acquire(null, 'job');
            const cli = start('watch', '--json');
            await cli.said('\n');
            cli.kill('SIGTERM');
            await cli.ended;
            const change = json(cli) as unknown as { change: string; lock: { holder: string } };
            assert.deepEqual([change.change, change.lock.holder], ['held', holder]);
        });
    });

    suite('while Redis is away', () => {
        function startAt(own: RedisServer, ...args: string[]): Cli {
            const cli = new Cli(args, own);
            running.push(cli);
            return cli;
        }

        /** What is more than this is asked by a command whose lock is open. From now on commands are counted anew. */
        async function scriptsOfOpening(own: RedisServer, commands: ServerCommands): Promise<number> {
            const opened = lockOf(own);
            await opened.open(null);
            const scripts = await commands.scripts();
            await opened.close(null);
            await commands.reset();
            return scripts;
        }

        test('watch goes on, and says once that it was away and once that it is back', async () => {
            await using own = await RedisServer.start();
            await using commands = new ServerCommands(own);
            const cli = startAt(own, 'watch', '--interval', '100ms');
            await until(async () => ((await commands.calls()).get('scan') ?? 0) > 1);
            own.freeze();
            await cli.said('Trying again');
            await sleep(1500);
            own.thaw();
            await cli.said('answers again');
            cli.kill('SIGINT');
            assert.strictEqual(await cli.ended, 0);
            assert.lengthOf(cli.stderr.trim().split('\n'), 2, cli.stderr);
        });

        test('lead ends its command at the deadline, waits, and starts it again', async () => {
            await using own = await RedisServer.start();
            const command = "trap 'echo ended; exit 0' TERM; echo leads; while :; do sleep 0.02; done";
            const cli = startAt(own, 'lead', 'job', '--ttl', '3s', '--', 'sh', '-c', command);
            await cli.said('leads\n');
            own.freeze();
            await cli.said('ended\n');
            own.thaw();
            await cli.said('ended\nleads\n');
            cli.kill('SIGTERM');
            assert.strictEqual(await cli.ended, 0);
        });

        test('wait goes on', async () => {
            await using own = await RedisServer.start();
            await using commands = new ServerCommands(own);
            await commands.client.set('job', 'somebody');
            const opening = await scriptsOfOpening(own, commands);
            const cli = startAt(own, 'wait', 'job');
            await until(async () => (await commands.scripts()) > opening, 8000);
            own.freeze();
            await cli.said('Trying again');
            own.thaw();
            await cli.said('answers again');
            await commands.client.del('job');
            assert.strictEqual(await cli.ended, 0);
            assert.strictEqual(cli.stdout, 'job is free\n');
        });

        test('wait says with 69 that it does not know, when it is away at the end', async () => {
            await using own = await RedisServer.start();
            await using commands = new ServerCommands(own);
            await commands.client.set('job', 'somebody');
            const opening = await scriptsOfOpening(own, commands);
            const cli = startAt(own, 'wait', 'job');
            await until(async () => (await commands.scripts()) > opening, 8000);
            own.freeze();
            await cli.said('Trying again');
            cli.kill('SIGINT');
            assert.strictEqual(await cli.ended, 69);
            own.thaw();
        });
    });

    suite('release', () => {
        test('gives a lock back in the name of its holder', async () => {
            const { holder } = await lock.acquire(null, 'job');
            assert.strictEqual((await done('release', 'job', '--holder', 'another')).code, 1);
            assert.strictEqual((await done('release', 'job', '--holder', holder)).code, 0);
            assert.strictEqual((await lock.inspect(null, 'job')).holder, undefined);
        });

        test('by force asks first, and takes no for an answer', async () => {
            const { holder } = await lock.acquire(null, 'job');
            for (const answer of ['n\n', '\n', '']) {
                const cli = start('release', 'job', '--force');
                await cli.said(/\[y\/N\]/);
                assert.include(cli.stderr, holder);
                cli.answer(answer);
                assert.strictEqual(await cli.ended, 1);
                // Where nobody can answer, what to do is said.
                assert.strictEqual(/use --yes/.test(cli.stderr), answer === '', cli.stderr);
            }
            assert.strictEqual((await lock.inspect(null, 'job')).holder, holder);
        });

        test('by force passes the lock to the next who waits, and the holder learns of it', async () => {
            const lease = await lock.acquire(null, 'job', { ttl: 3000 });
            const waiting = lock.acquire(null, 'job', { timeout: Infinity });
            await until(async () => (await lock.inspect(null, 'job')).waiters.length === 1);
            const cli = start('release', 'job', '--force');
            await cli.said(/\[y\/N\]/);
            cli.answer('y\n');
            assert.strictEqual(await cli.ended, 0);
            assert.include(cli.stderr, `job was taken from ${lease.holder}`);
            const next = await waiting;
            await until(() => lease.signal.aborted);
            assert.isTrue(await next.release());
        });

        test('by force takes a key from all who share it', async () => {
            const options = { mode: 'shared', ttl: 3000 } as const;
            const leases = [await lock.acquire(null, 'job', options), await lock.acquire(null, 'job', options)];
            const cli = start('release', 'job', '--force');
            await cli.said(/these 2 holders.*\[y\/N\]/);
            cli.answer('y\n');
            assert.strictEqual(await cli.ended, 0);
            for (const { holder } of leases) assert.include(cli.stderr.split('\n').at(-2), holder);
            assert.isUndefined((await lock.inspect(null, 'job')).holder);
            await until(() => leases.every(({ signal }) => signal.aborted));
        });

        test('by force asks nobody when it is told so, and says with 1 that there was nothing to do', async () => {
            await lock.acquire(null, 'job');
            assert.strictEqual((await done('release', 'job', '--force', '--yes', '--holder', 'another')).code, 1);
            assert.strictEqual((await done('release', 'job', '--force', '--yes', '--reason', 'x')).code, 0);
            assert.strictEqual((await done('release', 'job', '--force', '--yes')).code, 1);
        });
    });

    suite('wait', () => {
        test('waits until nobody holds the lock', async () => {
            const lease = await lock.acquire(null, 'job');
            const cli = start('wait', 'job');
            await until(async () => (await calls(redis, 'evalsha')) > 3, 5000);
            await lease.release();
            assert.strictEqual(await cli.ended, 0);
            assert.strictEqual(cli.stdout, 'job is free\n');
        });

        test('says with 1 that it is still held', async () => {
            await lock.acquire(null, 'job');
            const cli = await done('wait', 'job', '--timeout', '100ms', '--json');
            assert.strictEqual(cli.code, 1);
            assert.isString(json(cli)['holder']);
        });
    });

    suite('doctor', () => {
        interface GrantMessage {
            readonly check: string;
            readonly state: string;
            readonly advice?: string;
        }
        function told(cli: Cli): GrantMessage[] {
            return cli.stdout
                .trim()
                .split('\n')
                .map((line) => JSON.parse(line) as GrantMessage);
        }

        test('finds nothing wrong with a server that is well', async () => {
            const cli = await done('doctor');
            assert.strictEqual(cli.code, 0, cli.stdout);
            assert.notInclude(cli.stdout, 'ERROR');
            const checks = told(await done('doctor', '--json')).map(({ check }) => check);
            const expected = [
                'connection',
                'server',
                'topology',
                'eviction',
                'keys',
                'rights',
                'pub/sub',
                'clock',
                'replicas',
                'lock',
            ];
            assert.deepEqual(checks, expected);
        });

        test('tells who holds or shares the key that it was to try', async () => {
            const options = { mode: 'shared' } as const;
            const leases = [await lock.acquire(null, 'job', options), await lock.acquire(null, 'job', options)];
            const names = leases.map(({ holder }) => holder).join(', ');
            assert.include((await done('doctor', 'job')).stdout, `job is shared by ${names}: reading works`);
        });

        test('warns of eviction, and says what to do', async () => {
            await using own = await RedisServer.start({
                args: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'],
            });
            const cli = new Cli(['doctor'], own);
            running.push(cli);
            assert.strictEqual(await cli.ended, 0);
            assert.match(cli.stdout, /warning.*allkeys-lru.*\n +Set maxmemory-policy to noeviction/);
        });

        test('names the rights that are missing, and says so with 1', async () => {
            await redis.call(
                'ACL',
                'SETUSER',
                'cli',
                'reset',
                'on',
                '>secret',
                ...DOCUMENTED_RULE,
                '-zadd',
                '-publish',
            );
            const cli = new Cli(['doctor', '--json'], server, { REDIS_USER: 'cli', REDIS_PASS: 'secret' });
            running.push(cli);
            assert.strictEqual(await cli.ended, 1);
            const found = told(cli);
            assert.strictEqual(found.find(({ check }) => check === 'rights')?.advice, 'Allow +zadd to the user.');
            assert.strictEqual(found.find(({ check }) => check === 'pub/sub')?.state, 'warning');
        });

        test('says which rights are missing for a list alone', async () => {
            await redis.call('ACL', 'SETUSER', 'cli', 'reset', 'on', '>secret', ...DOCUMENTED_RULE);
            const cli = new Cli(['doctor', '--json'], server, { REDIS_USER: 'cli', REDIS_PASS: 'secret' });
            running.push(cli);
            assert.strictEqual(await cli.ended, 0);
            assert.strictEqual(told(cli).find(({ check }) => check === 'rights')?.advice, 'Allow +scan to the user.');
        });

        test('says what a replica is, and that there are too few', async () => {
            await using replica = await RedisServer.start({ args: ['--replicaof', server.host, String(server.port)] });
            const cli = new Cli(['doctor'], replica);
            running.push(cli);
            assert.strictEqual(await cli.ended, 1);
            assert.match(cli.stdout, /ERROR .*replica\n +Connect to the master/);
            const file = join(folder, 'acks.yml');
            const text = '- descriptor: "pip-services:lock:redis:default:1.0"\n';
            writeFileSync(
                file,
                `${text}  connection: { port: ${server.port} }\n  options: { acks: 9, acks_timeout: 50 }\n`,
            );
            const other = await done('doctor', '--config', file);
            assert.strictEqual(other.code, 1);
            assert.match(other.stdout, /ERROR .*replicas: \d connected, options.acks is 9/);
        });

        test('says what a server is that is none for locks', async () => {
            await using cluster = await RedisServer.start({ args: ['--cluster-enabled', 'yes'] });
            const nowhere = ['--config', impatient()];
            const [one, other] = [new Cli(['doctor'], cluster), new Cli(['doctor', ...nowhere], undefined)];
            running.push(one, other);
            assert.strictEqual(await one.ended, 1);
            assert.match(one.stdout, /ERROR +\S+ +topology.*\n +Set options.topology to cluster/);
            assert.strictEqual(await other.ended, 1);
            assert.match(other.stdout, /ERROR.*could not be reached/);
        });
    });

    suite('connects', () => {
        test('as the lock of a container is configured to', async () => {
            await lock.acquire(null, 'job');
            const cli = await done('status', 'job', '--config', 'config/config.yml');
            assert.strictEqual(cli.code, 0, cli.stderr);
        });

        test('by a uri', async () => {
            const cli = new Cli(['list', '--uri', `redis://${server.host}:${server.port}`], undefined);
            running.push(cli);
            assert.strictEqual(await cli.ended, 0, cli.stderr);
        });

        test('or says with 69 that it cannot', async () => {
            const cli = await done('status', 'job', '--config', impatient());
            assert.strictEqual(cli.code, 69);
            assert.include(cli.stderr, 'could not be reached');
        });

        test('or says with 78 that it asks no credential store and no discovery', async () => {
            for (const [section, name] of [
                ['credential', 'store_key'],
                ['connection', 'discovery_key'],
            ] as const) {
                const file = join(folder, `${name}.yml`);
                const text = '- descriptor: "pip-services:lock:redis:default:1.0"\n  connection: { host: localhost }\n';
                const asking = `${text}  ${section}: { ${name}: redis }\n`;
                writeFileSync(
                    file,
                    section === 'connection' ? asking.replace(/ {2}connection: { host.*\n/, '') : asking,
                );
                const cli = await done('status', 'job', '--config', file);
                assert.strictEqual(cli.code, 78, cli.stderr);
                assert.include(cli.stderr, `${section}.${name}`);
                assert.include(cli.stderr, 'the command line does not have');
            }
        });

        test('or says with 78 that the configuration is wrong', async () => {
            const file = join(folder, 'none.yml');
            writeFileSync(file, '- descriptor: "pip-services:logger:console:default:1.0"\n');
            for (const args of [
                ['--config', file],
                ['--config', join(folder, 'no-such.yml')],
                ['--uri', 'http://user:secret@host'],
            ]) {
                const cli = await done('status', 'job', ...args);
                assert.strictEqual(cli.code, 78, cli.stderr);
                assert.notInclude(cli.stderr, 'secret');
            }
        });
    });

    suite('the command line', () => {
        for (const args of [
            [],
            ['unknown'],
            ['status'],
            ['run', 'job'],
            ['run', 'job', '--ttl', '5 minutes', '--', 'true'],
            ['run', 'job', '--ttl', '30', '--', 'true'],
            ['run', 'job', '--kill-after', '5', '--', 'true'],
            ['wait', 'job', '--timeout', '100'],
            ['watch', '--interval', '0'],
            ['watch', '--interval', '99ms'],
            ['watch', '--interval', '1'],
            ['run', 'job', '--signal-on-loss', 'NONE', '--', 'true'],
            ['run', 'job', '-E', '256', '--', 'true'],
            ['run', 'job', 'ls', '-l'],
            ['run', 'job', '--permits', '2', '--', 'true'],
            ['run', 'job', '--limit', '0', '--', 'true'],
            ['run', 'job', '--limit', '5', '--permits', '6', '--', 'true'],
            ['run', 'job', '--limit', '5', '--shared', '--', 'true'],
            ['release', 'job'],
            ['status', ''],
            ['status', 'job', '--uri', 'redis://h', '--config', 'file'],
        ]) {
            test(`is wrong, which 64 says: ${JSON.stringify(args)}`, async () => {
                const cli = await done(...args);
                assert.strictEqual(cli.code, 64);
                assert.isNotEmpty(cli.stderr);
            });
        }

        test('wants the unit of a time, and shows those of its defaults', async () => {
            assert.include((await done('run', 'job', '--ttl', '30', '--', 'true')).stderr, 'Write 30s for seconds');
            assert.include((await done('watch', '--interval', '20ms')).stderr, '100ms at least');
            const help = (await done('run', '--help')).stdout.replace(/\s+/g, ' ');
            assert.include(help, '(default: 30s, or that of the file)');
            assert.include(help, 'until SIGKILL (default: 5s)');
            assert.include((await done('watch', '--help')).stdout, '(default: 1s)');
            await lock.acquire(null, 'job');
            // Nothing has no unit.
            assert.strictEqual((await done('run', 'job', '--timeout', '0', '--', 'true')).code, 1);
        });

        test('suggests the signal that may be meant', async () => {
            const cli = await done('run', 'job', '--signal-on-loss', 'TREM', '--', 'true');
            assert.include(cli.stderr, 'Did you mean SIGTERM');
        });

        test('tells its version', async () => {
            const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
            for (const flag of ['--version', '-V']) {
                const cli = await done(flag);
                assert.deepEqual([cli.code, cli.stdout], [0, `${version}\n`]);
            }
        });

        test('repeats no password in an error', async () => {
            assert.notInclude((await done('redis://user:secret@host')).stderr, 'secret');
        });

        test('is explained by --help, with all exit codes', async () => {
            const cli = await done('--help');
            assert.strictEqual(cli.code, 0);
            for (const text of ['run', 'doctor', 'REDIS_URI', '75', '127', 'Examples'])
                assert.include(cli.stdout, text);
            assert.include((await done('run', '--help')).stdout, 'cron');
        });

        test('looks in its example at the file that README makes', async () => {
            const [example] = /redis-lock doctor --config .*/.exec((await done('--help')).stdout) ?? assert.fail();
            assert.include(readFileSync('README.md', 'utf8'), example);
        });
    });
});

/** How often a server was given a command. */
async function calls(client: Redis, command: string): Promise<number> {
    return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await client.info('commandstats'))?.[1] ?? 0);
}

/** One that is dead, but that its parent has not heard of yet, is not alive. */
function isAlive(pid: number): boolean {
    try {
        process.kill(pid, 0);
        return !existsSync('/proc') || !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
        return false;
    }
}
