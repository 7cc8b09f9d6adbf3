import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { RedisAddress } from '../../fixtures/sharedServer';

export interface CommandCount {
    /** What clients sent. */
    readonly sent: number;
    /** That, and what scripts called. */
    readonly executed: number;
}

/**
 * Counts what MONITOR tells, until a command that has the mark. Not with ioredis, which fails when a line comes together with
 * the reply to MONITOR.
 */
export class CommandCounter {
    /** What came before the mark. */
    readonly marked: Promise<CommandCount>;
    private _sent = 0;
    private _executed = 0;
    private _rest = '';

    private constructor(socket: Socket, mark: string) {
        this.marked = new Promise((resolve, reject) => {
            socket.once('error', reject);
            socket.on('data', (chunk: string) => {
                if (!this._read(chunk, mark)) return;
                socket.destroy();
                resolve({ sent: this._sent, executed: this._executed });
            });
        });
    }

    static async start({ host, port }: RedisAddress, mark: string): Promise<CommandCounter> {
        const socket = connect({ host, port }).setEncoding('latin1');
        await once(socket, 'connect');
        socket.write('MONITOR\r\n');
        const [reply] = (await once(socket, 'data')) as [string];
        const counter = new CommandCounter(socket, mark);
        counter._read(reply.replace(/^\+OK\r\n/, ''), mark);
        return counter;
    }

    /** Answers whether the mark was among it. */
    private _read(chunk: string, mark: string): boolean {
        const lines = (this._rest + chunk).split('\r\n');
        this._rest = lines.pop() ?? '';
        for (const line of lines) {
            if (line.endsWith(`"${mark}"`)) return true;
            this._executed += 1;
            if (!SCRIPT.test(line)) this._sent += 1;
        }
        return false;
    }
}

/** What a script called: the instant, the database, and `lua` in place of an address. */
const SCRIPT = /^\+[\d.]+ \[\d+ lua\]/;
