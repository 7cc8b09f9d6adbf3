import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assert } from 'chai';
import { LockErrorCode, RedisLock } from '../../src';
import { PAGES, ROOT, blocks, pageOf, rows } from './pages';
import { PROMISES } from './promises';

const NAME = 'pip-services4-redis-lock-node';
const README = pageOf('README.md');

function plain(text: string): string {
    return text
        .replaceAll('../../src', NAME)
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '')
        .join('\n');
}

function files(folder: string, ending: string): string[] {
    const path = join(ROOT, folder);
    return readdirSync(path)
        .filter((name) => name.endsWith(ending))
        .map((name) => plain(readFileSync(join(path, name), 'utf8')));
}

/** The names of an interface, or of a class, as it is declared in the file of the public surface. */
function membersOf(type: string): string[] {
    const surface = readFileSync(join(ROOT, 'test/api/surface.txt'), 'utf8');
    const [, body = ''] =
        new RegExp(`^export (?:interface|declare class) ${type} [^{]*\\{\n([^]*?)^\\}`, 'm').exec(surface) ?? [];
    return [...body.matchAll(/^ {4}(?:readonly )?([a-z]\w*)[(:<]/gm)].map(([, name = '']) => name);
}

/** Matches a title as it stands in the source, which may be a template. */
function titlePattern(title: string): RegExp {
    const parts = title.split(/\$\{[^}]*\}/).map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${parts.join('.*')}$`);
}

suite('README', () => {
    test('has at most 200 lines', () => {
        assert.isAtMost(README.trimEnd().split('\n').length, 200);
    });

    test('names every method of the lock and of its lease, and none besides', () => {
        const named = rows('method').flatMap(([cell = '']) =>
            [...cell.matchAll(/`(?:lease\.)?(\w+)/g)].map(([, name = '']) => name),
        );
        const methods = Object.getOwnPropertyNames(RedisLock.prototype).filter(
            (name) => !/^_|^constructor$/.test(name),
        );
        const lease = membersOf('Lease');
        assert.includeMembers(lease, ['fence', 'holderOf', 'release']);
        assert.sameMembers([...new Set(named)], [...new Set([...methods, ...lease])]);
    });
});

suite('The pages', () => {
    test('have every TypeScript block from an example that is compiled and run', () => {
        const examples = [...files('test/examples', '.ts'), ...files('test/examples/jobRunner', '.ts')];
        assert.isAtLeast(blocks('ts').length, 15);
        for (const block of blocks('ts')) {
            const found = examples.some((example) => example.includes(plain(block)));
            assert.isTrue(found, `No file of test/examples has:\n${block}`);
        }
    });

    test('have every YAML block whole, as a configuration file', () => {
        const configs = files('config', '.yml');
        assert.isNotEmpty(blocks('yaml'));
        for (const block of blocks('yaml')) {
            const found = configs.some((config) => config.endsWith(plain(block)));
            assert.isTrue(found, `No file of config is:\n${block}`);
        }
    });

    test('have no table that is wider than 120 characters', () => {
        for (const { path, text } of PAGES) {
            const wide = text.split('\n').filter((line) => line.startsWith('|') && line.length > 120);
            assert.deepEqual(wide, [], path);
        }
    });

    test('have commands of redis-lock, and options of them, that there are', () => {
        const source = files('src/bin', '.ts').join('\n');
        const lines = PAGES.flatMap(({ text }) => [...text.matchAll(/^(?:[\d*].*)?npx redis-lock ([a-z]+)(.*)$/gm)]);
        assert.isAtLeast(lines.length, 10);
        for (const [, command = '', rest = ''] of lines) {
            assert.include(source, `.command('${command}')`);
            const [ours = ''] = rest.split(' -- ');
            for (const [option] of ours.matchAll(/--[a-z-]+/g)) assert.include(source, option);
        }
    });

    test('have every exit code that the help of the command line has', () => {
        const source = readFileSync(join(ROOT, 'src/bin/ExitCode.ts'), 'utf8');
        const help = readFileSync(join(ROOT, 'src/bin/program.ts'), 'utf8');
        const codes = [...source.matchAll(/^ {4}[A-Z]\w+: (\d+),/gm)].map(([, code]) => code ?? '');
        assert.lengthOf(codes, 9);
        for (const code of codes) {
            assert.match(pageOf('docs/operations.md'), new RegExp(`^\\| \`${code}\\b`, 'm'));
            assert.match(help, new RegExp(`^  ${code}\\b`, 'm'));
        }
    });

    test('have npm commands that are scripts of package.json', () => {
        const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
            scripts: Record<string, string>;
        };
        const named = PAGES.flatMap(({ text }) => [...text.matchAll(/(?:^|`|&& )npm (?:run )?([a-z:]+)/gm)]);
        assert.isNotEmpty(named);
        for (const [, name = ''] of named) {
            if (!['ci', 'install', 'pack'].includes(name)) assert.property(scripts, name);
        }
    });

    test('have links to files and to sections that there are', () => {
        for (const { path, text } of PAGES) {
            const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link);
            for (const link of links.filter((one) => !one.startsWith('https:'))) {
                const [file = '', section] = link.split('#');
                const target = file === '' ? path : join(dirname(path), file);
                assert.isTrue(existsSync(join(ROOT, target)), `${path}: ${link}`);
                if (section === undefined) continue;
                const titles = [...readFileSync(join(ROOT, target), 'utf8').matchAll(/^#+ (.*)$/gm)];
                const anchors = titles.map(([, title = '']) => title.toLowerCase().replaceAll(' ', '-'));
                assert.include(anchors, section, `${path}: ${link}`);
            }
        }
    });

    test('name files that there are, and say of those that the package lacks that the repository has them', () => {
        for (const { path, text } of PAGES.filter(({ path: page }) => page !== 'docs/design.md')) {
            for (const paragraph of text.split('\n\n')) {
                for (const [, file = ''] of paragraph.matchAll(/`((?:test|config|src)\/[\w./-]+)`/g)) {
                    assert.isTrue(existsSync(join(ROOT, file)), `${path}: ${file}`);
                    if (!/^config\/\w+\.yml$|^test\/bench\//.test(file)) assert.include(paragraph, 'repository', path);
                }
            }
        }
    });

    test('are all reached from README', () => {
        for (const { path } of PAGES) if (path !== 'README.md') assert.include(README, `(${path})`);
    });

    test('promise what tests prove, and each of these tests is there', () => {
        const sources = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
            .filter((name) => name.endsWith('.ts'))
            .map((name) => readFileSync(join(ROOT, 'test', name), 'utf8'));
        const titles = sources
            .flatMap((source) => [...source.matchAll(/\btest\((['`])(.*?)\1,/g)])
            .map(([, , title = '']) => titlePattern(title));
        const promised = rows('what happens').map(([first = '']) => first);
        assert.sameMembers(promised, Object.keys(PROMISES));
        for (const title of Object.values(PROMISES).flat()) {
            const found = titles.some((one) => one.test(title));
            assert.isTrue(found, title);
        }
    });

    test('list every option of the class documentation, and none besides', () => {
        const docs = ['src/lock/RedisLock.ts', 'src/connect/RedisConnector.ts']
            .map((file) => readFileSync(join(ROOT, file), 'utf8'))
            .join('\n');
        const listed = rows('option').map(([name = '']) => name.replace(/^`options\.|`$/g, ''));
        assert.isNotEmpty(listed);
        for (const name of listed) assert.include(docs, name, `documented in the classes: ${name}`);
        const settings = readFileSync(join(ROOT, 'src/lock/LockSettings.ts'), 'utf8');
        const connector = readFileSync(join(ROOT, 'src/connect/RedisConnector.ts'), 'utf8');
        const parsed = [...`${settings}${connector}`.matchAll(/config, 'options\.([a-z_.]+)'/g)].map(
            ([, name]) => name ?? '',
        );
        assert.isNotEmpty(parsed);
        for (const name of parsed) assert.include(listed, name, `in the table: ${name}`);
    });

    test('list every code of an error, and none besides', () => {
        const listed = rows('code').flatMap(([cell = '']) =>
            [...cell.matchAll(/`([A-Z_]+)`/g)].map(([, code = '']) => code),
        );
        assert.sameMembers(listed, Object.keys(LockErrorCode));
    });
});
