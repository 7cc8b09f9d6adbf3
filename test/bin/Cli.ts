import { type ChildProcess, spawn } from 'node:child_process';
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

    /** @param server for the environment; undefined: none. */
    constructor(args: readonly string[], server: RedisAddress | undefined, environment: NodeJS.ProcessEnv = {}) {
        const { REDIS_SERVICE_HOST: _, REDIS_SERVICE_PORT: __, ...rest } = process.env;
        const where =
            server === undefined ? {} : { REDIS_SERVICE_HOST: server.host, REDIS_SERVICE_PORT: String(server.port) };
        const env = { ...rest, ...where, ...environment };
        const child = spawn(process.execPath, [BINARY, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
        child.stdout.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
        child.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
        this.process = child;
        this.ended = once(child, 'close').then(([code]) => Number(code));
    }

    /** Waits until it has written this. */
    async said(text: string | RegExp): Promise<void> {
        await until(() => new RegExp(text).test(this.stdout + this.stderr), 8000);
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
