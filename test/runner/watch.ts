/** `npm run test:watch -- NAME…`: builds and runs again after each change. Without a name: the unit tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, watch } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..', '..');
/** An editor writes several files in one go. */
const SETTLED = 100;

const names = process.argv.slice(2);
const script = names.length > 0 ? `test:file -- ${names.map(quoted).join(' ')}` : 'test:unit';
let running: ChildProcess | undefined;
let timer: NodeJS.Timeout | undefined;

/** What the build writes among the sources is no change. */
const made = new Set(readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n'));

for (const folder of ['src', 'test']) {
    watch(join(ROOT, folder), { recursive: true }, (_, file) => {
        if (!made.has(`${folder}/${file}`)) soon();
    });
}
soon();

function soon(): void {
    clearTimeout(timer);
    timer = setTimeout(again, SETTLED);
}

/** What still runs is of no interest any more. It has a process group of its own, because npm starts others. */
function again(): void {
    if (running?.pid !== undefined && running.exitCode === null) process.kill(-running.pid, 'SIGTERM');
    console.error(`\n— ${new Date().toLocaleTimeString()}: npm run ${script}`);
    running = spawn(`npm run --silent ${script}`, { cwd: ROOT, shell: true, stdio: 'inherit', detached: true });
}

function quoted(word: string): string {
    return `'${word.replaceAll("'", `'\\''`)}'`;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
        if (running?.pid !== undefined && running.exitCode === null) process.kill(-running.pid, 'SIGTERM');
        process.exit();
    });
}
