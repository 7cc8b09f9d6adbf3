import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BENCH } from './harness/paths';

/** Installs the peers, unless what is installed is what the lockfile names. */
export function installPeers(): void {
    const installed = join(BENCH, 'node_modules/.package-lock.json');
    if (existsSync(installed) && versions(installed) === versions(join(BENCH, 'package-lock.json'))) return;
    // One of them says that it needs a later Node.js: it runs on this one.
    const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
    const { status } = spawnSync('npm', args, { cwd: BENCH, stdio: 'inherit', shell: process.platform === 'win32' });
    if (status !== 0) throw new Error('The peers could not be installed: see above');
}

function versions(lockfile: string): string {
    const { packages } = JSON.parse(readFileSync(lockfile, 'utf8')) as {
        packages: Record<string, { version: string }>;
    };
    return JSON.stringify(
        Object.entries(packages).flatMap(([name, one]) => (name === '' ? [] : [[name, one.version]])),
    );
}
