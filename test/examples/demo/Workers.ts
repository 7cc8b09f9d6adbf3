import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { ResourceMessage } from '../RemoteResource';
import type { Timeline } from './Timeline';

interface Worker {
    readonly name: string;
    readonly child: ChildProcess;
    /** Its end is wanted. */
    expected: boolean;
}

/** The worker processes of the demo, and the resource on which only one of them may work at a time. */
export class Workers {
    grants = 0;
    overlaps = 0;
    takeovers = 0;
    readonly errors: string[] = [];
    private readonly _workers = new Set<Worker>();
    private _inside: Worker | undefined;
    private _fence = 0;
    private _entered: (() => void)[] = [];

    constructor(
        private readonly _timeline: Timeline,
        private readonly _script: string,
        private readonly _redis: { readonly host: string; readonly port: number },
    ) {}

    start(name: string): void {
        const child = fork(this._script, ['-c', 'config/config.yml'], {
            // The container's greetings would only get in between.
            stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
            env: {
                ...process.env,
                REDIS_SERVICE_HOST: this._redis.host,
                REDIS_SERVICE_PORT: String(this._redis.port),
                LOG_LEVEL: 'error',
            },
        });
        const worker: Worker = { name, child, expected: false };
        this._workers.add(worker);
        child.on('message', (message: ResourceMessage) => this._onMessage(worker, message));
        child.on('exit', (code, signal) => {
            this._workers.delete(worker);
            if (!worker.expected) this.errors.push(`${name} ended by itself (${signal ?? code})`);
        });
    }

    /** Kills the worker that is inside. @returns after how many ms the next one entered. */
    kill(): Promise<number> {
        return this._end('SIGKILL', 'is KILLED while it works');
    }

    /** Stops the worker that is inside, as an orchestrator does. @returns after how many ms the next one entered. */
    stop(): Promise<number> {
        return this._end('SIGTERM', 'is stopped while it works (SIGTERM)');
    }

    async stopAll(): Promise<void> {
        await Promise.all(
            [...this._workers].map(async (worker) => {
                worker.expected = true;
                const ended = once(worker.child, 'exit');
                worker.child.kill('SIGTERM');
                await ended;
            }),
        );
    }

    private async _end(signal: 'SIGKILL' | 'SIGTERM', what: string): Promise<number> {
        while (this._inside === undefined) await this._nextEntry();
        const worker = this._inside;
        worker.expected = true;
        this._timeline.print(worker.name, what);
        const started = performance.now();
        const ended = once(worker.child, 'exit');
        worker.child.kill(signal);
        if (signal === 'SIGKILL') {
            await ended;
            this._inside = undefined;
        }
        await this._nextEntry();
        const elapsed = Math.round(performance.now() - started);
        await ended;
        if (signal === 'SIGKILL') this.takeovers += 1;
        return elapsed;
    }

    private _nextEntry(): Promise<void> {
        return new Promise((resolve) => this._entered.push(resolve));
    }

    private _onMessage(worker: Worker, message: ResourceMessage): void {
        switch (message.kind) {
            case 'say':
                this._timeline.print(worker.name, message.text);
                return;
            case 'enter':
                this._enter(worker, message.fence);
                break;
            case 'leave':
                this._timeline.print(worker.name, 'leaves');
                if (this._inside === worker) this._inside = undefined;
        }
        worker.child.send('done');
    }

    private _enter(worker: Worker, fence: number): void {
        this._timeline.print(worker.name, `HOLDS the lock, fence ${fence}`);
        this.grants += 1;
        if (this._inside !== undefined) {
            this.overlaps += 1;
            this.errors.push(`${worker.name} met ${this._inside.name}`);
        }
        if (fence <= this._fence) this.errors.push(`${worker.name} came with fence ${fence} after ${this._fence}`);
        this._inside = worker;
        this._fence = fence;
        for (const entered of this._entered.splice(0)) entered();
    }
}
