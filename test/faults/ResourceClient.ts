import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { WriteAnswer, WriteRequest } from './resourceProgram';

/** A worker's way to the guarded resource. */
export class ResourceClient {
    private readonly _socket: Socket;
    private readonly _asked = new Map<string, (accepted: boolean) => void>();

    constructor(port: number) {
        this._socket = connect(port, '127.0.0.1').setNoDelay(true);
        this._socket.on('error', () => undefined);
        createInterface({ input: this._socket })
            .on('line', (line) => {
                const { value, accepted } = JSON.parse(line) as WriteAnswer;
                this._asked.get(value)?.(accepted);
                this._asked.delete(value);
            })
            // It passes on what the socket fails with: the lab may have ended meanwhile.
            .on('error', () => undefined);
    }

    /** @returns whether it was accepted. */
    write(request: WriteRequest): Promise<boolean> {
        return new Promise((resolve) => {
            this._asked.set(request.value, resolve);
            this._socket.write(`${JSON.stringify(request)}\n`);
        });
    }
}
