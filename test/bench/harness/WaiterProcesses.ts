import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Hold, Order, Report, Waiting } from './waiterProcess';

const PROCESSES = 4;

/** Waiters for one key in several processes. They cannot be stopped, only killed: so they are made anew for each segment. */
export class WaiterProcesses implements AsyncDisposable {
    private readonly _processes: readonly ChildProcess[];
    private _asked = 0;

    private constructor(private readonly _options: Omit<Waiting, 'members'>) {
        this._processes = Array.from({ length: Math.min(PROCESSES, _options.size) }, () =>
            fork(join(__dirname, 'waiterProcess.js'), { execArgv: [] }),
        );
    }

    /** Nobody waits yet. @throws when the contestant cannot be opened. */
    static async open(options: Omit<Waiting, 'members'>): Promise<WaiterProcesses> {
        const processes = new WaiterProcesses(options);
        const { host, port } = options.server;
        const all = Array.from({ length: options.size }, (_, member) => member);
        try {
            await processes._obey((at) => {
                const members = all.filter((member) => member % processes._processes.length === at);
                return { kind: 'open', waiting: { ...options, server: { host, port }, members } };
            });
            return processes;
        } catch (error) {
            await processes[Symbol.asyncDispose]();
            throw error;
        }
    }

    async start(): Promise<void> {
        await this._obey(() => ({ kind: 'start' }));
    }

    /** What has happened so far. */
    async report(): Promise<Report> {
        const reports = (await this._obey(() => ({ kind: 'report' }))) as Report[];
        const holds = reports.flatMap((report) => report.holds);
        return {
            holds: holds.sort((one, other) => one.got - other.got),
            pending: reports.flatMap((report) => report.pending),
            cpu: reports.reduce((sum, { cpu }) => sum + cpu, 0),
        };
    }

    get size(): number {
        return this._options.size;
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await Promise.all(
            this._processes.map(async (one) => {
                if (one.exitCode !== null || one.signalCode !== null) return;
                const exit = once(one, 'exit');
                one.kill('SIGKILL');
                await exit;
            }),
        );
    }

    private _obey(order: (at: number) => Order): Promise<unknown[]> {
        return Promise.all(this._processes.map((one, at) => this._ask(one, order(at))));
    }

    private _ask(one: ChildProcess, order: Order): Promise<unknown> {
        const number = (this._asked += 1);
        return new Promise((resolve, reject) => {
            const failed = (): void => reject(new Error(`${this._options.contestant}: a process ended`));
            const answered = (said: Said): void => {
                if (said.number !== number) return;
                one.removeListener('exit', failed);
                one.removeListener('message', answered);
                if (said.error === undefined) resolve(said.answer);
                else reject(new Error(said.error));
            };
            one.once('exit', failed);
            one.on('message', answered);
            one.send({ number, order }, (error) => {
                if (error !== null) reject(error);
            });
        });
    }
}

interface Said {
    readonly number: number;
    readonly answer?: unknown;
    readonly error?: string;
}

export type { Hold, Report };
