/**
 * The public surface as text: what the package exports, and every type of ours that a signature of it mentions, without
 * comments and private members. `npm run api` writes it to surface.txt.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = join(__dirname, '..', '..', '..');

export const SURFACE_FILE = join(ROOT, 'test', 'api', 'surface.txt');

/** Where a name is declared. */
interface Place {
    readonly file: string;
    readonly name: string;
}

/** What a declaration file says. */
interface Declarations {
    /** Text by name. */
    readonly own: ReadonlyMap<string, string>;
    /** What it imports from other files of ours, by the name that it has here. */
    readonly imported: ReadonlyMap<string, Place>;
    /** What it exports of other files. */
    readonly passedOn: ReadonlyMap<string, Place>;
}

/** @param entries names of packages, and the declaration files of what they export */
export function surfaceOf(entries: Readonly<Record<string, string>>): string {
    const exported = new Map<string, Place>();
    const sections = Object.entries(entries).map(([entry, file]) => {
        const { passedOn } = parse(file);
        for (const place of passedOn.values()) exported.set(keyOf(place), place);
        return section(entry, [...passedOn.values()], [...passedOn.keys()]);
    });
    const mentioned = reachedFrom([...exported.values()]).filter((place) => !exported.has(keyOf(place)));
    return [...sections, section('mentioned by these, not exported', mentioned)].join('\n');
}

/** @param names of the places, as they are exported */
function section(title: string, places: readonly Place[], names = places.map(({ name }) => name)): string {
    const texts = places.map(textOf).toSorted((one, other) => (nameIn(one) < nameIn(other) ? -1 : 1));
    return [`==== ${title} (${names.length})`, names.toSorted().join(', '), ...texts].join('\n\n') + '\n';
}

/** All declarations that these mention, directly or not, and these. */
function reachedFrom(places: readonly Place[]): Place[] {
    const found = new Map<string, Place>();
    const visit = (named: Place): void => {
        const place = parse(named.file).passedOn.get(named.name) ?? named;
        if (found.has(keyOf(place))) return;
        found.set(keyOf(place), place);
        const { own, imported } = parse(place.file);
        for (const [name] of textOf(place).matchAll(/\b[A-Z]\w*/g)) {
            const there = imported.get(name) ?? (own.has(name) ? { file: place.file, name } : undefined);
            if (there !== undefined) visit(there);
        }
    };
    places.forEach(visit);
    return [...found.values()];
}

function textOf({ file, name }: Place): string {
    const text = parse(file).own.get(name);
    if (text === undefined) throw new Error(`${file} does not declare ${name}`);
    return text;
}

function keyOf({ file, name }: Place): string {
    return `${file} ${name}`;
}

const parsed = new Map<string, Declarations>();

function parse(file: string): Declarations {
    const known = parsed.get(file);
    if (known !== undefined) return known;
    const own = new Map<string, string>();
    const imported = new Map<string, Place>();
    const passedOn = new Map<string, Place>();
    for (const statement of statementsOf(readFileSync(file, 'utf8'))) {
        const names = /^(import|export) (?:type )?\{([^}]*)\} from '(\.[^']*)'/.exec(statement);
        if (names === null) {
            const name = nameIn(statement);
            if (name !== '') own.set(name, [own.get(name) ?? '', statement].join('\n').trim());
            continue;
        }
        const [, word, list = '', path = ''] = names;
        for (const item of list.split(',')) {
            const [name = '', alias = name] = item.trim().split(' as ');
            (word === 'import' ? imported : passedOn).set(alias, { file: resolved(file, path), name });
        }
    }
    const declarations = { own, imported, passedOn };
    parsed.set(file, declarations);
    return declarations;
}

/** A statement ends with a line where all brackets are closed, unless the next one is indented: a union goes on. */
function statementsOf(text: string): string[] {
    const statements: string[] = [];
    let statement = '';
    const code = text.replace(/\/\*[^]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
    for (const line of code.split('\n').map((one) => one.trimEnd())) {
        if (line === '' || /^\s+private /.test(line)) continue;
        if (statement === '' && line.startsWith(' ')) statement = `${statements.pop() ?? ''}${line}`;
        else statement = statement === '' ? line : `${statement}\n${line}`;
        const open = statement.match(/[({[]/g)?.length ?? 0;
        const closed = statement.match(/[)}\]]/g)?.length ?? 0;
        if (open !== closed || !/[;}]$/.test(line)) continue;
        statements.push(statement);
        statement = '';
    }
    return statements;
}

/** The name that a statement declares, or none. */
function nameIn(statement: string): string {
    const words = /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|function|const|let|enum) (\w+)/;
    return words.exec(statement)?.[1] ?? '';
}

function resolved(from: string, path: string): string {
    const target = join(dirname(from), path);
    const found = [`${target}.d.ts`, join(target, 'index.d.ts')].find(existsSync);
    if (found === undefined) throw new Error(`${from} imports ${path}, which is not there`);
    return found;
}

/** Of this package, as it was built. */
export function surface(): string {
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
        exports: Record<string, string | { types: string }>;
    };
    const entries = Object.entries(exports).flatMap(([entry, target]) =>
        typeof target === 'string' ? [] : [[entry, join(ROOT, target.types)] as const],
    );
    return surfaceOf(Object.fromEntries(entries));
}

if (require.main === module) writeFileSync(SURFACE_FILE, surface());
