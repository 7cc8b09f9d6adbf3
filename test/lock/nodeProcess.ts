import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const SOURCE = join(__dirname, '..', '..', 'src');

/** How a process ended, and all that it printed. */
export interface Ended {
    readonly code: unknown;
    readonly signal: unknown;
    readonly output: string;
}

/**
 * Runs the body of an async function in a process of its own, which knows RedisLock, ConfigParams and Context. A process that has
 * not ended by itself after a while is killed.
 */
export async function runInProcess(body: string, patience = 25_000): Promise<Ended> {
    const source = `
        const { ConfigParams, Context } = require('pip-services4-components-node');
        const { RedisLock } = require(${JSON.stringify(SOURCE)});
        (async () => { ${body} })();`;
    const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), patience);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const [code, signal]: unknown[] = await once(child, 'close');
    clearTimeout(timer);
    return { code, signal, output: output.trim() };
}
