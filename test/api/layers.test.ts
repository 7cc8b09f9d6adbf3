import { assert } from 'chai';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

const ROOT = join(__dirname, '..', '..', '..');
const TOOLKIT = 'pip-services4-components-node';
const ENGINE = [
    'time',
    'collections',
    'port',
    'followups',
    'lease',
    'deputy',
    'waiting',
    'local',
    'locker',
    'quorum',
    'redis',
];

/** A layer, and what its files may import beside their own folder. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
    'engine/time': [],
    'engine/collections': [],
    'engine/port': below('time'),
    'engine/followups': below('time', 'port'),
    'engine/lease': below('time', 'port', 'followups'),
    'engine/deputy': below('time', 'port', 'lease'),
    'engine/waiting': below('time', 'port', 'followups', 'collections'),
    'engine/local': below('time', 'port', 'collections'),
    'engine/locker': below('time', 'port', 'followups', 'lease', 'waiting'),
    'engine/quorum': below('time', 'port'),
    'engine/redis/scripts': [...below('time', 'port'), 'type ioredis'],
    'engine/redis/connection': [...below('time', 'port', 'redis/scripts'), 'type ioredis'],
    'engine/redis/servers': [...below('time', 'port', 'redis/scripts', 'redis/connection'), 'type ioredis'],
    'engine/redis': below('time', 'port', 'redis/scripts', 'redis/connection', 'redis/servers'),

    testing: below('time', 'port'),
    connect: [...inEngine(), TOOLKIT, 'ioredis', 'type ioredis'],
    lock: [...inEngine(), 'connect', TOOLKIT],
    build: ['lock', TOOLKIT],
    bin: [...inEngine(), 'connect', 'lock', TOOLKIT, 'commander', 'type ioredis'],
};

/** Nothing in src may import these, or all of it may. */
const OTHERS = [
    '../test',
    '../standins',
    'ioredis',
    'type ioredis',
    TOOLKIT,
    'commander',
    'left-pad',
    'node:timers/promises',
];

function below(...folders: string[]): string[] {
    return folders.map((folder) => `engine/${folder}`);
}

function inEngine(): string[] {
    return [...below(...ENGINE, 'redis/scripts', 'redis/connection', 'redis/servers')];
}

suite('The layers', () => {
    let refused: ReadonlySet<string>;

    /** A file for each import from a layer, judged by the rules of this project. */
    suiteSetup(function () {
        this.timeout(180_000);
        const root = mkdtempSync(join(tmpdir(), 'layers-'));
        try {
            const files = new Map<string, string>();
            for (const layer of Object.keys(LAYERS)) {
                const folder = join(root, 'src', layer);
                mkdirSync(folder, { recursive: true });
                for (const [at, target] of targets().entries()) {
                    const file = join(folder, `imports${at}.ts`);
                    writeFileSync(file, importOf(layer, target));
                    files.set(file, `${layer} → ${target}`);
                }
            }
            const { stdout } = spawnSync(
                join(ROOT, 'node_modules', '.bin', 'oxlint'),
                ['--config', join(ROOT, 'config', 'oxlint.json'), '--format', 'unix', root],
                { cwd: root, encoding: 'utf8' },
            );
            const refusals = stdout.split('\n').filter((line) => line.includes('no-restricted-imports'));
            refused = new Set(refusals.map((line) => files.get(join(root, line.replace(/:.*/, ''))) ?? line));
        } finally {
            rmSync(root, { recursive: true });
        }
    });

    function targets(): string[] {
        return [...Object.keys(LAYERS), ...OTHERS];
    }

    test('are all folders of src', () => {
        const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
        const folders = new Set(sources.filter((file) => file.endsWith('.ts')).map((file) => dirname(file)));
        folders.delete('.');
        assert.sameMembers([...folders], Object.keys(LAYERS));
    });

    for (const [layer, allowed] of Object.entries(LAYERS)) {
        test(`${layer} may import ${allowed.join(', ') || 'nothing'}, and nothing else is let through`, () => {
            const expected = targets().filter(
                (target) => ![...allowed, layer, 'node:timers/promises'].includes(target),
            );
            const found = targets().filter((target) => refused.has(`${layer} → ${target}`));
            assert.deepEqual(found, expected);
        });
    }
});

function importOf(layer: string, target: string): string {
    const [, type = '', name = ''] = /^(type )?(.*)$/.exec(target) ?? [];
    const path = `./${relative(layer, name)}/x`.replace(/^\.\/\.\./, '..');
    const from = name in LAYERS || name.startsWith('..') ? path : name;
    return `import ${type}{ a } from '${from}';\nexport { a };\n`;
}
