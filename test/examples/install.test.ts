import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import * as diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import {
    cpSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    realpathSync,
    rmSync,
    symlinkSync,
    writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { assert } from 'chai';
import * as toolkit from 'pip-services4-components-node';
import * as toolkitConfig from 'pip-services4-config-node';
import { sharedServer } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';
import { PAGES, ROOT, blocks, pageOf } from './pages';

const README = [{ path: 'README.md', text: pageOf('README.md') }];
const [INSTALL = '', COMPILE = '', COMMANDS = ''] = blocks('sh', README);

/** What npm and node are told: nothing of the npm that runs this test, nor of its coverage. */
const ENVIRONMENT = Object.fromEntries(
    Object.entries(process.env).filter(
        ([name]) => !/^(npm_(?!config_(registry|cache|userconfig)$)|NODE_V8_COVERAGE$)/.test(name),
    ),
);

/** The commands and the code of README, typed in a folder that has nothing, beside a copy of this repository. */
suite('A service that is begun as README says', () => {
    let folder: string;
    let service: string;
    let uri: string;

    suiteSetup(async function () {
        this.timeout(300_000);
        folder = realpathSync(mkdtempSync(join(tmpdir(), 'install-')));
        service = join(folder, 'my-service');
        mkdirSync(service);
        const repository = join(folder, 'pip-services4-redis-lock-node');
        cpSync(ROOT, repository, { recursive: true, filter: isSource });
        // In place of `npm ci`, which takes long.
        symlinkSync(join(ROOT, 'node_modules'), join(repository, 'node_modules'));
        assert.match(INSTALL, /^npm ci && /);
        const { status, stdout, stderr } = typed(INSTALL.replace('npm ci && ', ''), repository);
        // The stand-ins need packages of the registry.
        if (UNREACHABLE.test(stderr)) this.skip();
        assert.strictEqual(status, 0, stdout + stderr);
        // Not the list of what was packed: who installs would look for an error in it.
        assert.isAtMost((stdout + stderr).split('\n').length, 20, stdout + stderr);
        const { host, port } = await sharedServer();
        uri = `redis://${host}:${port}`;
    });

    suiteTeardown(() => rmSync(folder, { recursive: true, force: true }));

    /** Types commands into a shell. */
    function typed(commands: string, cwd: string, env: NodeJS.ProcessEnv = {}): SpawnSyncReturns<string> {
        return spawnSync('sh', ['-c', `set -e\n${commands}`], {
            cwd,
            env: { ...ENVIRONMENT, npm_config_prefer_offline: 'true', npm_config_audit: 'false', ...env },
            encoding: 'utf8',
        });
    }

    function write(name: string, text: string): void {
        writeFileSync(join(service, name), text);
    }

    function node(...args: string[]): string {
        const env = { ...ENVIRONMENT, REDIS_URI: uri };
        const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: service, env, encoding: 'utf8' });
        assert.strictEqual(status, 0, stdout + stderr);
        assert.strictEqual(stderr, '');
        return stdout;
    }

    test('depends on nothing that README does not name', () => {
        const { dependencies } = JSON.parse(readFileSync(join(service, 'package.json'), 'utf8')) as {
            dependencies: Record<string, string>;
        };
        assert.sameMembers(Object.keys(dependencies), [
            'pip-services4-redis-lock-node',
            'pip-services4-components-node',
            'pip-services4-config-node',
            'pip-services4-container-node',
        ]);
    });

    test('runs the first example as it stands, as a module', () => {
        const [start = ''] = blocks('js', README);
        write('start.mjs', start);
        assert.match(node('start.mjs'), /^Nobody else is here\. My fence is \d{16}\n$/);
    });

    test('runs the first example in CommonJS, with the two lines that are given for it', () => {
        const [start = ''] = blocks('js', README);
        const head = [...pageOf('README.md').matchAll(/`(const .*? = require\(.*?\);)`/g)].map(([, line]) => line);
        assert.lengthOf(head, 2);
        write('start.cjs', [...head, ...start.split('\n').slice(2)].join('\n'));
        assert.match(node('start.cjs'), /^Nobody else is here\. My fence is \d{16}\n$/);
    });

    test('runs the container as it stands, and frees its lock on SIGTERM', async function () {
        this.timeout(300_000);
        const [report = ''] = blocks('ts', README);
        const [configuration = ''] = blocks('yaml', README);
        write('report.ts', report);
        write('report.yml', configuration);
        const [run = '', ...before] = COMPILE.trim().split('\n').toReversed();
        const { status, stdout, stderr } = typed(before.toReversed().join('\n'), service);
        if (UNREACHABLE.test(stderr)) this.skip();
        assert.strictEqual(status, 0, stdout + stderr);
        const [command = '', ...args] = run.split(' ');
        assert.strictEqual(command, 'node');
        const child = spawn(process.execPath, args, { cwd: service, env: { ...ENVIRONMENT, REDIS_URI: uri } });
        const ended = once(child, 'exit');
        let output = '';
        child.stdout.on('data', (data: Buffer) => (output += data.toString()));
        child.stderr.on('data', (data: Buffer) => (output += data.toString()));
        try {
            await until(() => output.includes('Container report started'), 20_000);
            assert.match(output, /This host makes the report, with fence \d{16}\n/);
        } finally {
            child.kill('SIGTERM');
        }
        assert.deepEqual(await ended, [0, null], output);
    });

    test('has the command line, which reads the file of the container', function () {
        this.timeout(120_000);
        const [configuration = ''] = blocks('yaml', README);
        write('report.yml', configuration);
        // A shell that one types into need not know comments.
        assert.notInclude(COMMANDS, '#');
        const { status, stdout, stderr } = typed(COMMANDS, service, { REDIS_URI: uri, npm_config_offline: 'true' });
        assert.strictEqual(status, 0, stdout + stderr);
        assert.match(stdout, /^One host at a time does this\.$/m);
    });

    test('can paste every block of the pages: it has its imports, and its page says what else it needs', function () {
        this.timeout(120_000);
        const pasted = PAGES.flatMap((page) => blocks('ts', [page]).map((block) => ({ page, block })));
        pasted.forEach(({ block }, at) => write(`pasted${at}.ts`, isWhole(block) ? block : inFunction(block)));
        const { stdout } = spawnSync(
            process.execPath,
            [
                join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'),
                ...['--noEmit', '--pretty', 'false', '--strict', '--skipLibCheck'],
                ...['--target', 'esnext', '--module', 'node20'],
                ...['--typeRoots', join(ROOT, 'node_modules', '@types'), '--types', 'node'],
                ...pasted.map((_, at) => `pasted${at}.ts`),
            ],
            { cwd: service, env: ENVIRONMENT, encoding: 'utf8' },
        );
        for (const error of stdout.split('\n').filter((line) => line !== '')) {
            const [, at = '', code = '', text = ''] = /^pasted(\d+)\.ts.* error (TS\d+): (.*)/.exec(error) ?? [];
            const { page, block } = pasted[Number(at)] ?? assert.fail(stdout);
            assert.isFalse(isWhole(block), `${page.path}: ${error}\n${block}`);
            // A part of a function takes names for granted: what no import could give.
            if (!MISSING_NAME.has(code)) continue;
            const [, name = ''] = /'(\w+)'/.exec(text) ?? [];
            assert.notInclude(IMPORTABLE, name, `${page.path} does not import ${name}:\n${block}`);
            if (name === 'lock') assert.include(page.text, '`lock` is an opened `RedisLock`', page.path);
        }
        assert.match(stdout, /Cannot find name 'lock'/);
    });
});

const UNREACHABLE = /ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ENOTCACHED/;

/** What the compiler says of a name that nobody has declared. */
const MISSING_NAME: ReadonlySet<string> = new Set(['TS2304', 'TS2552', 'TS18004']);

/** Every name that a block of the pages may need an import for. */
const IMPORTABLE: readonly string[] = [
    ...[toolkit, toolkitConfig, diagnostics].flatMap((names) => Object.keys(names)),
    ...[
        ...readFileSync(join(ROOT, 'test/api/surface.txt'), 'utf8').matchAll(/^export (?:declare )?[a-z]+ (\w+)/gm),
    ].map(([, name = '']) => name),
];

/** Whether a block is a file. */
function isWhole(block: string): boolean {
    return /^(import|export) /m.test(block);
}

function inFunction(block: string): string {
    return `export async function pasted(): Promise<unknown> {\n${block}\n}\n`;
}

/** What a fresh clone has. */
function isSource(path: string): boolean {
    const made = readFileSync(join(ROOT, '.gitignore'), 'utf8').trim().split('\n');
    return !made.includes(relative(ROOT, path)) && !/[/\\](node_modules|obj|\.git)$|[/\\]test[/\\].*\.ts$/.test(path);
}
