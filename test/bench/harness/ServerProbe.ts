import { once } from 'node:events';
import { Redis } from 'ioredis';
import type { RedisAddress } from '../../fixtures/sharedServer';

export interface CommandCount {
    /** What clients sent. */
    readonly sent: number;
    /** That, and what scripts called. */
    readonly executed: number;
}

/** Asks a server what it costs, over a connection of its own. */
export class ServerProbe implements AsyncDisposable {
    private readonly _client: Redis;
    private _marks = 0;

    constructor(address: RedisAddress) {
        const { host, port } = address;
        this._client = new Redis({ host, port, protocol: 2 });
    }

    /** CPU time that the server has used so far, ms. */
    async cpu(): Promise<number> {
        const text = await this._client.info('cpu');
        return (field(text, 'used_cpu_user') + field(text, 'used_cpu_sys')) * 1000;
    }

    /** Memory of the keys, bytes. */
    async memory(): Promise<number> {
        const text = await this._client.info('memory');
        return field(text, 'used_memory') - field(text, 'mem_clients_normal');
    }

    /** Forgets every key; scripts stay. */
    async empty(): Promise<void> {
        await this._client.flushall('SYNC');
    }

    /** How many commands the server gets while `run` runs. It slows down the server: never while time is measured. */
    async count(run: () => Promise<unknown>): Promise<CommandCount> {
        const monitor = await this._client.monitor();
        let [sent, executed] = [0, 0];
        const mark = `mark:${(this._marks += 1)}`;
        const all = new Promise<void>((resolve) => {
            monitor.on('monitor', (_time: string, [, first]: string[], source: string) => {
                if (first === mark) return resolve();
                executed += 1;
                if (source !== 'lua') sent += 1;
            });
        });
        await run();
        await this._client.echo(mark);
        await all;
        const ended = once(monitor, 'end');
        monitor.disconnect();
        await ended;
        return { sent, executed };
    }

    async [Symbol.asyncDispose](): Promise<void> {
        await this._client.quit().catch(() => this._client.disconnect());
    }
}

function field(info: string, name: string): number {
    return Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1] ?? NaN);
}
