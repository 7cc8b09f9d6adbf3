import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TcpProxy } from '../fixtures/TcpProxy';
import { until } from '../fixtures/until';
import type { WorkerOrder, WorkerPlan, WorkerReport } from './workerProgram';

/** A worker process and its own way to the servers. It dies with us. */
export class LabWorker implements AsyncDisposable {
    private readonly _process: ChildProcess;
    private readonly _reports = new Set<WorkerReport['kind']>();
    private _failure: string | undefined;

    private constructor(
        readonly plan: WorkerPlan,
        /** One per server; none in topologies whose servers tell clients their own addresses. */
        readonly proxies: readonly TcpProxy[],
    ) {
        this._process = fork(join(__dirname, 'workerProgram.js'), [JSON.stringify(plan)], { execArgv: [] });
        this._process.on('message', (report: WorkerReport) => {
            if (report.kind === 'failed') this._failure = report.error;
            else this._reports.add(report.kind);
        });
        this._process.on('error', () => undefined);
    }

    static async start(plan: WorkerPlan, proxies: readonly TcpProxy[]): Promise<LabWorker> {
        const worker = new LabWorker(plan, proxies);
        try {
            await worker._reported('open', 30_000);
            return worker;
        } catch (error) {
            await worker[Symbol.asyncDispose]();
            throw error;
        }
    }

    get client(): string {
        return this.plan.client;
    }

    get pid(): number {
        return this._process.pid ?? NaN;
    }

    get isRunning(): boolean {
        return this._process.exitCode === null && this._process.signalCode === null;
    }

    work(): void {
        this._order({ kind: 'start' });
    }

    /** Keeps its event loop busy for so long, ms. */
    block(time: number): void {
        this._order({ kind: 'block', time });
    }

    freeze(): void {
        this._process.kill('SIGSTOP');
    }

    thaw(): void {
        this._process.kill('SIGCONT');
    }

    /** No further acquisitions. @returns whether those under way have ended in time. */
    async stop(within: number): Promise<boolean> {
        this._order({ kind: 'stop' });
        return this._reported('stopped', within).then(
            () => true,
            () => false,
        );
    }

    async close(): Promise<void> {
        this._order({ kind: 'close' });
        await this._reported('closed', 20_000);
    }

    /** SIGKILL, frozen or not. */
    async kill(): Promise<void> {
        if (!this.isRunning) return;
        const exit = once(this._process, 'exit');
        this._process.kill('SIGKILL');
        await exit;
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await this.kill();
        await Promise.all(this.proxies.map((proxy) => proxy.stop()));
    }

    private _order(order: WorkerOrder): void {
        this._process.send(order, () => undefined);
    }

    private async _reported(kind: WorkerReport['kind'], within: number): Promise<void> {
        await until(() => this._reports.has(kind) || this._failure !== undefined, within);
        if (this._failure !== undefined) throw new Error(`${this.client}: ${this._failure}`);
    }
}
