import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, totalmem, type as system } from 'node:os';
import { join } from 'node:path';
import { redisBinary } from '../../fixtures/redisBinary';
import { PACKAGE, ROOT } from '../harness/paths';

/** The machine and the versions of what ran on it. */
export function machine(): string[] {
    const [cpu] = cpus();
    const memory = Math.round(totalmem() / 1024 ** 3);
    return [
        `${cpus().length} × ${cpu?.model.trim() || process.arch}, ${memory} GB, ${system()}`,
        `Node.js ${process.versions.node}, ${server()}, ioredis ${version(join(ROOT, 'package.json'), 'ioredis')}`,
        peers(),
    ];
}

function server(): string {
    const { stdout } = spawnSync(redisBinary(), ['--version'], { encoding: 'utf8' });
    const [, name = 'server', number = ''] = /^(\w+) server v=([\d.]+)/i.exec(stdout) ?? [];
    return `${name} ${number}`;
}

function peers(): string {
    const { dependencies } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { dependencies: Record<string, string> };
    return Object.keys(dependencies)
        .map((name) => `${name} ${version(PACKAGE, name)}`)
        .join(', ');
}

/** Of what is installed for the package of that file. */
function version(from: string, name: string): string {
    // Not every package lets its package.json be required.
    const folder = createRequire(from)
        .resolve.paths(name)
        ?.map((path) => join(path, name, 'package.json'));
    for (const file of folder ?? []) {
        try {
            return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version.replace(/^v/, '');
        } catch {
            // It is in one of the next.
        }
    }
    return '';
}
