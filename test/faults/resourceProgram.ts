/**
 * The guarded resource, a process of its own: has a value per key and remembers the greatest fence that came with a write. A
 * write with a smaller fence is refused; one without is written to a second value that nobody guards, for comparison.
 *
 * It is started with the path of the history, and tells its parent the port on which it listens. Lines of JSON.
 */
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { History } from './History';

export interface WriteRequest {
    readonly key: string;
    readonly value: string;
    /** null: not guarded. */
    readonly fence: number | null;
}

export interface WriteAnswer {
    readonly value: string;
    readonly accepted: boolean;
}

interface Stored {
    readonly value: string;
    readonly fence: number;
}

const stored = new Map<string, Stored>();
const history = new History(process.argv[2] ?? '', 'resource');

function write({ key, value, fence }: WriteRequest): boolean {
    const accepted = fence === null || fence >= (stored.get(key)?.fence ?? 0);
    if (fence !== null && accepted) stored.set(key, { value, fence });
    history.note({ operation: accepted ? 'accept' : 'refuse', key, value, fence });
    return accepted;
}

function serve(socket: Socket): void {
    socket.on('error', () => undefined);
    createInterface({ input: socket })
        .on('line', (line) => {
            const request = JSON.parse(line) as WriteRequest;
            const answer: WriteAnswer = { value: request.value, accepted: write(request) };
            if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
        })
        .on('error', () => undefined);
}

const server = createServer(serve).listen(0, '127.0.0.1', () => {
    const address = server.address();
    process.send?.({ port: typeof address === 'object' ? address?.port : 0 });
});

// Asked at the end what it has.
process.on('message', () => {
    for (const [key, { value, fence }] of stored) history.note({ operation: 'value', key, value, fence });
    process.send?.({ told: stored.size });
});
process.on('disconnect', () => process.exit());
