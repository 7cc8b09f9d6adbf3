import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { RedisAddress } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';

const BINARY = join(__dirname, '..', '..', 'src', 'bin', 'redis-lock.js');

/** A redis-lock that runs, as a user would run it. */
export class Cli {
    stdout = '';
    stderr = '';
    readonly process: ChildProcess;
    /** Its exit code. */
    readonly ended: Promise<number>;

    /** What it writes to is a terminal. */
    readonly hasTerminal: boolean;

    /**
     * @param server   for the environment; undefined: none.
     * @param terminal run it on a terminal, if there is the program of util-linux that gives one.
     */
    constructor(
        args: readonly string[],
        server: RedisAddress | undefined,
        environment: NodeJS.ProcessEnv = {},
        terminal?: 'terminal',
    ) {
        const { REDIS_SERVICE_HOST: _, REDIS_SERVICE_PORT: __, ...inherited } = process.env;
        const where =
            server === undefined ? {} : { REDIS_SERVICE_HOST: server.host, REDIS_SERVICE_PORT: String(server.port) };
        const env = { ...inherited, ...where, ...environment };
        this.hasTerminal = terminal !== undefined && givesTerminal();
        const command = [process.execPath, BINARY, ...args];
        const [program = '', ...rest] = this.hasTerminal
            ? ['script', '-qec', command.map((word) => `'${word}'`).join(' '), '/dev/null']
            : command;
        const child = spawn(program, rest, { env, stdio: ['pipe', 'pipe', 'pipe'] });
        child.stdout.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
        child.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
        this.process = child;
        this.ended = once(child, 'close').then(([code]) => Number(code));
    }

    /** Waits until it has written this. */
    async said(text: string | RegExp): Promise<void> {
        await until(() => new RegExp(text).test(this.stdout + this.stderr), 20_000);
    }

    answer(text: string): void {
        this.process.stdin?.end(text);
    }

    /** Ends it, if it still runs. What it started may hold on to its output. */
    async end(): Promise<void> {
        if (this.process.exitCode === null && this.process.signalCode === null) {
            this.process.kill('SIGTERM');
            await once(this.process, 'exit');
        }
        this.process.stdin?.destroy();
        this.process.stdout?.destroy();
        this.process.stderr?.destroy();
    }

    kill(signal: NodeJS.Signals): void {
        this.process.kill(signal);
    }
}

function givesTerminal(): boolean {
    return /util-linux/.test(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout);
}
