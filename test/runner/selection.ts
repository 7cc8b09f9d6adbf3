import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** A process or a server of a test's own; searches of the model take seconds of CPU time. */
const SLOW_IMPORT = /(^|[/:])(child_process|RedisServer|sharedServer)$/;
const SLOW_FOLDER = /^test\/model\//;

/** What takes long starts first: started last, it would run alone at the end. */
const LONG_FOLDERS = [
    'test/faults/',
    'test/bin/',
    'test/lock/topologies/',
    'test/model/',
    'test/lock/',
    'test/connect/',
];

/** The tests of a project, by the paths of their sources, such as test/lock/RedisLock.test.ts. */
export function allTests(root: string): string[] {
    const rank = (file: string): number => {
        const at = LONG_FOLDERS.findIndex((folder) => file.startsWith(folder));
        return at < 0 ? LONG_FOLDERS.length : at;
    };
    return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.test.ts'))
        .map((file) => `test/${file}`)
        .toSorted((one, other) => rank(one) - rank(other) || (one < other ? -1 : 1));
}

/** The tests that need no server and little time. Found by their imports, so that there is no list to keep. */
export function unitTests(root: string): string[] {
    return allTests(root).filter((file) => !SLOW_FOLDER.test(file) && !importsSlow(root, file, new Set()));
}

/**
 * The tests that are meant by a path, by the name of a file, or by a part of a path: the first of these that finds any.
 * The path of a source under src means its test.
 */
export function testsNamed(name: string, tests: readonly string[]): string[] {
    const wanted = subject(name);
    const lower = wanted.toLowerCase();
    const rules: ((file: string) => boolean)[] = [
        (file) => subject(file) === wanted,
        (file) => basename(subject(file)) === wanted,
        (file) => subject(file).toLowerCase().includes(lower),
    ];
    for (const rule of rules) {
        const found = tests.filter(rule);
        if (found.length > 0) return found;
    }
    return [];
}

/** Where the build puts a test. */
export function compiled(file: string): string {
    return `obj/${file.replace(/\.ts$/, '.js')}`;
}

/** What a test or source is about: src/lock/RedisLock.ts and obj/test/lock/RedisLock.test.js are of lock/RedisLock. */
function subject(path: string): string {
    return path.replace(/^(\.\/)?(obj\/)?((src|test)\/)?/, '').replace(/(\.test)?\.[jt]s$/, '');
}

function importsSlow(root: string, file: string, seen: Set<string>): boolean {
    if (seen.has(file)) return false;
    seen.add(file);
    return importsOf(join(root, file)).some((name) => {
        if (SLOW_IMPORT.test(name)) return true;
        if (!name.startsWith('.')) return false;
        const path = join(dirname(file), name);
        const target = [`${path}.ts`, join(path, 'index.ts')].find((one) => existsSync(join(root, one)));
        return target !== undefined && importsSlow(root, target, seen);
    });
}

/** What a file needs at run time; a type is not among it. */
function importsOf(file: string): string[] {
    const text = readFileSync(file, 'utf8');
    const imports = /^(?:import|export) (?!type )[^;]*? from '([^']+)'|(?:require(?:\.resolve)?|import)\('([^']+)'\)/gm;
    return [...text.matchAll(imports)].map(([, from, call]) => from ?? call ?? '');
}
