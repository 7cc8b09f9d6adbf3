import { spawn, spawnSync } from 'node:child_process';
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
import { sharedServer } from '../fixtures/sharedServer';
import { until } from '../fixtures/until';
import { ROOT, blocks, pageOf } from './pages';

const README = [{ path: 'README.md', text: pageOf('README.md') }];

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
        const [commands = ''] = blocks('sh', README);
        assert.match(commands, /^npm ci && /);
        const typed = `set -e\n${commands.replace('npm ci && ', '')}`;
        const { status, stdout, stderr } = spawnSync('sh', ['-c', typed], {
            cwd: repository,
            env: { ...ENVIRONMENT, npm_config_prefer_offline: 'true', npm_config_audit: 'false' },
            encoding: 'utf8',
        });
        // The stand-ins need packages of the registry.
        if (/ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ENOTCACHED/.test(stderr)) this.skip();
        assert.strictEqual(status, 0, stdout + stderr);
        const { host, port } = await sharedServer();
        uri = `redis://${host}:${port}`;
    });

    suiteTeardown(() => rmSync(folder, { recursive: true, force: true }));

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
        const [start = '', head = ''] = blocks('js', README);
        const rest = start.split('\n').slice(2).join('\n');
        assert.lengthOf(head.trim().split('\n'), 2);
        write('start.cjs', head + rest);
        assert.match(node('start.cjs'), /^Nobody else is here\. My fence is \d{16}\n$/);
    });

    test('runs the container as it stands, and frees its lock on SIGTERM', async function () {
        this.timeout(60_000);
        const [report = ''] = blocks('ts', README);
        const [configuration = ''] = blocks('yaml', README);
        write('report.ts', report);
        write('report.yml', configuration);
        const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
        const types = ['--typeRoots', join(ROOT, 'node_modules', '@types'), '--types', 'node'];
        node(tsc, '--strict', '--target', 'es2022', '--module', 'node20', '--skipLibCheck', ...types, 'report.ts');
        const args = ['report.js', '-c', 'report.yml'];
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
});

/** What a fresh clone has. */
function isSource(path: string): boolean {
    const made = readFileSync(join(ROOT, '.gitignore'), 'utf8').trim().split('\n');
    return !made.includes(relative(ROOT, path)) && !/[/\\](node_modules|obj|\.git)$|[/\\]test[/\\].*\.ts$/.test(path);
}
