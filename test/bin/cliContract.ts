import { assert } from 'chai';
import type { Finding } from '../../src/bin/doctor';
import type { LockReport } from '../../src/bin/LockReport';
import type { Settings } from '../lock/lockOf';
import { Cli } from './Cli';

/**
 * Declares what redis-lock does with the file of a container, wherever its lock is kept.
 *
 * @param environment of the process.
 * @param servers     how many servers the doctor has to see.
 * @param isQuorum    they are the nodes of a quorum, which knows no limits.
 */
export function cliContract(file: string, environment: () => Settings, servers: number, isQuorum = false): void {
    suite(`redis-lock --config ${file}`, () => {
        function start(command: string, ...args: string[]): Cli {
            const values = Object.entries(environment()).map(([name, value]) => [name, String(value)]);
            return new Cli([command, '--config', file, ...args], undefined, Object.fromEntries(values));
        }

        async function done(
            command: string,
            ...args: string[]
        ): Promise<{ readonly code: number; readonly stdout: string }> {
            const cli = start(command, ...args);
            const code = await cli.ended;
            return { code, stdout: cli.stdout + cli.stderr };
        }

        test('runs a command, during which the lock is listed', async () => {
            const running = start('run', 'cli:{a}:1', '--ttl', '3s', '--', 'sh', '-c', 'echo on; read line');
            await running.said('on');
            const { code, stdout } = await done('list', 'cli:*', '--json');
            running.answer('');
            assert.strictEqual(code, 0, stdout);
            const report = JSON.parse(stdout) as LockReport;
            assert.strictEqual(report.key, 'cli:{a}:1');
            assert.strictEqual(report.pid, running.process.pid);
            await running.ended;
        });

        test('shares a lock, takes permits, keeps the lock for a time, and leads', async () => {
            const command = ['--', 'sh', '-c', 'echo on; read line'];
            const permits = ['permits', '--limit', '3', '--permits', '2'];
            const running = [
                start('run', 'readers', '--shared', ...command),
                start('run', 'readers', '--shared', ...command),
                start('lead', 'leader', ...command),
                ...(isQuorum ? [] : [start('run', ...permits, ...command)]),
            ];
            try {
                const kept = await done('run', 'kept', '--at-least', '1m', '--', 'true');
                assert.strictEqual(kept.code, 0, kept.stdout);
                for (const one of running) await one.said(/^on/m);
                const tries = [['readers'], ['leader'], ['kept'], permits].map((wanted) =>
                    done('run', ...wanted, '--try', '--', 'true'),
                );
                const codes = (await Promise.all(tries)).map(({ code }) => code);
                assert.deepEqual(codes, [1, 1, 1, isQuorum ? 64 : 1]);
            } finally {
                for (const one of running) one.answer('go\n');
            }
            for (const one of running) assert.strictEqual(await one.ended, 0, one.stderr);
        });

        test('finds that every server is well', async () => {
            const { code, stdout } = await done('doctor', '--json');
            assert.strictEqual(code, 0, stdout);
            const found = stdout
                .trim()
                .split('\n')
                .map((line) => JSON.parse(line) as Finding);
            const connected = found.filter(({ check, state }) => check === 'connection' && state === 'ok');
            assert.lengthOf(connected, servers, stdout);
            assert.deepInclude(found.at(-1), {
                check: 'lock',
                state: 'ok',
                text: 'taken, renewed, shared and given back',
            });
            const warned = found.filter(({ state }) => state === 'warning').map(({ check }) => check);
            assert.isEmpty(
                warned.filter((check) => check !== 'replicas'),
                stdout,
            );
        });
    });
}
