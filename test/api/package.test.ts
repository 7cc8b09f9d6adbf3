import { assert } from 'chai';
import { spawnSync } from 'node:child_process';
import {
    cpSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    realpathSync,
    renameSync,
    rmSync,
    symlinkSync,
    writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { satisfies } from 'semver';
import { sharedServer } from '../fixtures/sharedServer';

const ROOT = join(__dirname, '..', '..', '..');
const STANDINS = ['pip-services4-components-node', 'pip-services4-config-node'];
const CONTAINER = 'pip-services4-container-node';

suite('The packages of the workspace', () => {
    for (const standin of [...STANDINS, CONTAINER]) {
        test(`include a private ${standin} whose version all ranges admit`, () => {
            const { version, private: isPrivate } = manifest(join(ROOT, 'standins', standin));
            assert.isTrue(isPrivate);
            for (const folder of ['.', ...[...STANDINS, CONTAINER].map((name) => join('standins', name))]) {
                const { dependencies, devDependencies } = manifest(join(ROOT, folder));
                const range = dependencies[standin] ?? devDependencies?.[standin];
                if (range !== undefined) assert.isTrue(satisfies(version, range), `${folder} wants ${range}`);
            }
        });
    }

    test('are locked without the address of a registry', () => {
        const addresses = Object.values(locked()).flatMap(({ resolved }) => resolved ?? []);
        assert.sameMembers(addresses, ['docs', ...[...STANDINS, CONTAINER].map((name) => `standins/${name}`)]);
    });

    // A binary that the registry does not have for one system is silently left out, and `npm ci` fails there.
    test('are locked for every system that their binaries exist for', () => {
        const packages = locked();
        const optional = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
        assert.include(optional, '@oxlint/binding-darwin-arm64');
        for (const name of optional) assert.property(packages, `node_modules/${name}`);
    });
});

suite('The changelog', () => {
    const text = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8');
    const [title, ...versions] = text.split(/^## /m);

    test('begins with the version of the package', () => {
        assert.strictEqual(title, '# Changelog\n\n');
        assert.strictEqual(versions[0]?.split('\n')[0], manifest(ROOT).version);
    });

    test('says in a line for each change what it is: breaking, then new, then mended', () => {
        const kinds = ['breaking', 'feat', 'fix'];
        for (const version of versions) {
            const lines = version.trim().split('\n').slice(2);
            const found = lines.map((line) => kinds.indexOf(/^- \*\*(\w+)\*\* \S/.exec(line)?.[1] ?? ''));
            assert.notInclude(found, -1, lines[found.indexOf(-1)]);
            assert.deepEqual(
                found,
                found.toSorted((a, b) => a - b),
            );
        }
    });
});

/**
 * Packed from a copy that was never built, as in a fresh clone. Installed as npm would do it: the unpacked tarball beside its dependencies, in a folder that sees nothing else of
 * ours. Without npm, because that would ask the registry for the stand-ins' dependencies.
 */
suite('The packed package', () => {
    let folder: string;
    let installed: string;

    suiteSetup(function () {
        this.timeout(180_000);
        folder = realpathSync(mkdtempSync(join(tmpdir(), 'package-')));
        const clone = join(folder, 'clone');
        cpSync(ROOT, clone, { recursive: true, filter: isSource });
        symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
        const tarball = run('npm', ['pack', '--silent', '--pack-destination', folder], clone).trim();
        run('tar', ['-xzf', tarball], folder);

        installed = join(folder, 'node_modules', 'pip-services4-redis-lock-node');
        mkdirSync(dirname(installed));
        cpSync(join(folder, 'package'), installed, { recursive: true });
        for (const name of Object.keys(manifest(installed).dependencies)) link(name);
        link('@types/node');
        link('ioredis5');
    });

    suiteTeardown(() => rmSync(folder, { recursive: true }));

    function link(name: string): void {
        const target = join(folder, 'node_modules', name);
        mkdirSync(dirname(target), { recursive: true });
        symlinkSync(realpathSync(join(ROOT, 'node_modules', name)), target);
    }

    function packed(): string[] {
        return readdirSync(installed, { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1));
    }

    test('has all that its pages link to', () => {
        const files = packed();
        for (const page of files.filter((file) => file.endsWith('.md'))) {
            const links = readFileSync(join(installed, page), 'utf8').matchAll(/\]\((?!https?:|mailto:|#)([^)\s#]+)/g);
            for (const [, target = ''] of links)
                assert.include(files, join(dirname(page), target), `${page} links to it`);
        }
    });

    test('holds what a user needs and nothing else', () => {
        const files = packed();
        const expected =
            /^(package\.json|LICENSE|[A-Z]+\.md|config\/.*\.yml|docs\/.*\.md|test\/bench\/.*\.(md|svg)|obj\/src\/.*)$/;
        assert.deepEqual(
            files.filter((file) => !expected.test(file)),
            [],
        );
        assert.includeMembers(files, ['package.json', 'LICENSE', 'obj/src/index.js', 'obj/src/index.d.ts']);
    });

    test('depends on the real packages by their names', () => {
        assert.sameMembers(Object.keys(manifest(installed).dependencies), [
            'commander',
            'ioredis',
            'pip-services4-commons-node',
            ...STANDINS,
        ]);
    });

    const script = `
        const lock = new RedisLock();
        const made = new DefaultRedisLockFactory().create(new Descriptor('pip-services', 'lock', 'redis', 'a', '1.0'));
        console.log(lock.isOpen(), made instanceof RedisLock);`;

    test('works with require', () => {
        const output = run(process.execPath, [
            '-e',
            `const { DefaultRedisLockFactory, RedisLock } = require('pip-services4-redis-lock-node');
            const { Descriptor } = require('pip-services4-components-node');
            ${script}`,
        ]);
        assert.strictEqual(output, 'false true\n');
    });

    test('works with import', () => {
        const output = run(process.execPath, [
            '--input-type=module',
            '-e',
            `import { DefaultRedisLockFactory, RedisLock } from 'pip-services4-redis-lock-node';
            import { Descriptor } from 'pip-services4-components-node';
            ${script}`,
        ]);
        assert.strictEqual(output, 'false true\n');
    });

    const keeping = (path: string, port: number): string => `
        let warned = false;
        async function main() {
            subscribe('pip-services4-redis-lock-node', ({ kind, message }) => {
                if (kind === 'warning') console.log(message);
                warned ||= kind === 'warning';
            });
            const lock = new RedisLock();
            const options = { ttl: 2000, keep_alive_thread: true };
            lock.configure(ConfigParams.fromValue({ connection: { port: ${port} }, options }));
            await lock.open(null);
            // Until the thread is ready.
            for (let tries = 0, kept = false; tries < 10 && !kept && !warned; tries++) {
                const lease = await lock.acquire(null, '${path}', { timeout: 60000 });
                Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
                kept = lease.isHeld();
                await lease.release();
                if (kept) console.log('kept');
            }
            await lock.close(null);
        }
        main();`;
    const required = `
        const { subscribe } = require('node:diagnostics_channel');
        const { ConfigParams } = require('pip-services4-components-node');
        const { RedisLock } = require('pip-services4-redis-lock-node');`;
    const imported = `
        import { subscribe } from 'node:diagnostics_channel';
        import { ConfigParams } from 'pip-services4-components-node';
        import { RedisLock } from 'pip-services4-redis-lock-node';`;

    test('has its keep-alive thread, with require and with import', async function () {
        this.timeout(120_000);
        const { port } = await sharedServer();
        assert.strictEqual(run(process.execPath, ['-e', required + keeping('cjs', port)]), 'kept\n');
        const module = ['--input-type=module', '-e', imported + keeping('esm', port)];
        assert.strictEqual(run(process.execPath, module), 'kept\n');
    });

    test('has its keep-alive thread in a bundle, whose program is bundled, too', async function () {
        this.timeout(120_000);
        const { port } = await sharedServer();
        writeFileSync(join(folder, 'service.js'), required + keeping('bundle', port));
        const page = readFileSync(join(installed, 'docs', 'leases.md'), 'utf8');
        const [, command = ''] = /^```sh\nesbuild (service\.js [^]*?)```/m.exec(page) ?? [];
        const args = command.replace(/\\\n/g, ' ').trim().split(/ +/);
        run(join(ROOT, 'node_modules', '.bin', 'esbuild'), [...args, '--log-level=error']);
        const elsewhere = join(folder, 'elsewhere');
        renameSync(join(folder, 'dist'), elsewhere);
        // Nothing of what was bundled is there any more.
        const hidden = `${installed}.hidden`;
        renameSync(installed, hidden);
        try {
            assert.strictEqual(run(process.execPath, [join(elsewhere, 'service.js')]), 'kept\n');
            rmSync(join(elsewhere, 'keep-alive-thread.js'));
            const output = run(process.execPath, [join(elsewhere, 'service.js')]);
            assert.match(output, /^The keep-alive thread could not be started: there is no keep-alive-thread\.js/);
        } finally {
            renameSync(hidden, installed);
        }
    });

    test('has a command line', () => {
        const { bin } = manifest(installed) as Manifest & { bin: Record<string, string> };
        assert.hasAllKeys(bin, ['redis-lock', 'pip-services4-redis-lock-node']);
        for (const file of Object.values(bin)) {
            assert.match(run(process.execPath, [join(installed, file), '--help']), /^Usage: redis-lock/);
        }
    });

    test('shows its manifest but not its inner modules', () => {
        const output = run(process.execPath, [
            '-e',
            `const name = 'pip-services4-redis-lock-node';
            console.log(require(name + '/package.json').name === name);
            try { require(name + '/obj/src/index.js'); } catch (error) { console.log(error.code); }`,
        ]);
        assert.strictEqual(output, 'true\nERR_PACKAGE_PATH_NOT_EXPORTED\n');
    });

    test('has types for a strict consumer, in CommonJS and in ESM', function () {
        this.timeout(180_000);
        for (const name of ['consumer.cts', 'consumer.mts'])
            cpSync(join(ROOT, 'test/api/consumer.ts'), join(folder, name));
        run(process.execPath, [
            join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'),
            ...['--noEmit', '--strict', '--target', 'es2022', '--module', 'node20', '--types', 'node'],
            ...['--skipLibCheck', 'false', 'consumer.cts', 'consumer.mts'],
        ]);
    });

    function run(command: string, args: string[], cwd = folder): string {
        // Coverage of npm and tsc is of no use, and large.
        const env = { ...process.env, NODE_V8_COVERAGE: '' };
        const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
        assert.strictEqual(status, 0, stdout + stderr);
        return stdout;
    }
});

/** What the package is made of: no test, and nothing that a fresh clone has not. */
function isSource(path: string): boolean {
    const made = readFileSync(join(ROOT, '.gitignore'), 'utf8').trim().split('\n');
    if (made.includes(relative(ROOT, path))) return false;
    return !/[/\\](node_modules|obj|\.git)$|[/\\]test[/\\].*\.ts$/.test(path);
}

interface Manifest {
    version: string;
    private?: boolean;
    dependencies: Record<string, string>;
    devDependencies?: Record<string, string>;
}

function locked(): Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }> {
    const lock = json(join(ROOT, 'package-lock.json')) as { packages: ReturnType<typeof locked> };
    return lock.packages;
}

function manifest(folder: string): Manifest {
    return json(join(folder, 'package.json')) as Manifest;
}

function json(file: string): unknown {
    return JSON.parse(readFileSync(file, 'utf8'));
}
