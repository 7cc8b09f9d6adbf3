import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { LockErrorCode } from '../../src';

const ROOT = join(__dirname, '..', '..', '..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const MOVING = readFileSync(join(ROOT, 'docs/moving.md'), 'utf8');
const NAME = 'pip-services4-redis-lock-node';

/** Every code block of a language. */
function blocks(language: string, page = README): string[] {
    return [...page.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map(([, text]) => text ?? '');
}

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

function escaped(text: string): string {
    return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

suite('README', () => {
    test('every TypeScript block stands in an example that is compiled and run', () => {
        const examples = [...files('test/examples', '.ts'), ...files('test/examples/jobRunner', '.ts')];
        assert.isNotEmpty(blocks('ts'));
        for (const block of [...blocks('ts'), ...blocks('ts', MOVING)]) {
            const found = examples.some((example) => example.includes(plain(block)));
            assert.isTrue(found, `No file of test/examples has:\n${block}`);
        }
    });

    test('every YAML block stands in a configuration file', () => {
        const configs = files('config', '.yml');
        assert.isNotEmpty(blocks('yaml'));
        for (const block of blocks('yaml')) {
            const found = configs.some((config) => config.includes(plain(block)));
            assert.isTrue(found, `No file of config has:\n${block}`);
        }
    });

    test('every command of redis-lock has commands and options that there are', () => {
        const source = files('src/bin', '.ts').join('\n');
        const lines = [...README.matchAll(/^(?:[\d*].*)?redis-lock ([a-z]+)(.*)$/gm)];
        assert.isNotEmpty(lines);
        for (const [, command = '', rest = ''] of lines) {
            assert.include(source, `.command('${command}')`);
            const [ours = ''] = rest.split(' -- ');
            for (const [option] of ours.matchAll(/--[a-z-]+/g)) assert.include(source, option);
        }
    });

    test('every exit code is in the table of the command line and in its help', () => {
        const source = readFileSync(join(ROOT, 'src/bin/ExitCode.ts'), 'utf8');
        const help = readFileSync(join(ROOT, 'src/bin/program.ts'), 'utf8');
        const codes = [...source.matchAll(/^ {4}[A-Z]\w+: (\d+),/gm)].map(([, code]) => code ?? '');
        assert.lengthOf(codes, 9);
        for (const code of codes) {
            assert.match(README, new RegExp(`^\\| \`${code}\\b`, 'm'));
            assert.match(help, new RegExp(`^  ${code}\\b`, 'm'));
        }
    });

    test('every npm command is a script of package.json', () => {
        const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
            scripts: Record<string, string>;
        };
        const named = [...README.matchAll(/(?:^|`|&& )npm (?:run )?([a-z:]+)/gm)].map(([, name]) => name ?? '');
        for (const name of named) {
            if (!['ci', 'install', 'pack'].includes(name)) assert.property(scripts, name);
        }
    });

    test('every link leads to a file or to a section that there is', () => {
        const sections = [...README.matchAll(/^#+ (.*)$/gm)].map(
            ([, title = '']) => `#${title.toLowerCase().replaceAll(' ', '-')}`,
        );
        const links = [...README.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link);
        assert.isNotEmpty(links);
        for (const link of links) {
            if (link.startsWith('#')) assert.include(sections, link);
            else if (!link.startsWith('https:')) assert.isTrue(existsSync(join(ROOT, link)), link);
        }
    });

    test('every row of the behaviour table names tests that there are', () => {
        const sources = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
            .filter((name) => /(\.test|Contract)\.ts$/.test(name))
            .map((name) => readFileSync(join(ROOT, 'test', name), 'utf8'));
        const titles = sources
            .flatMap((source) => [...source.matchAll(/\btest\((['`])(.*?)\1,/g)])
            .map(
                ([, , title = '']) =>
                    new RegExp(
                        `^${title
                            .split(/\$\{[^}]*\}/)
                            .map(escaped)
                            .join('.*')}$`,
                    ),
            );
        const table = /## How it behaves\n([^]*?)\n## /.exec(README)?.[1] ?? '';
        const rows = table
            .split('\n')
            .filter((line) => line.startsWith('|'))
            .slice(2);
        assert.isNotEmpty(rows);
        for (const row of rows) {
            const named = [...(row.split('|').at(-2) ?? '').matchAll(/`([^`]+)`/g)].map(([, title]) => title ?? '');
            assert.isNotEmpty(named, row);
            for (const title of named)
                assert.isTrue(
                    titles.some((one) => one.test(title)),
                    title,
                );
        }
    });

    test('every option of the class documentation is in the table of options, and none besides', () => {
        const docs = ['src/lock/RedisLock.ts', 'src/connect/RedisConnector.ts']
            .map((file) => readFileSync(join(ROOT, file), 'utf8'))
            .join('\n');
        const table = /## Options\n([^]*?)\n## /.exec(README)?.[1] ?? '';
        const listed = [...table.matchAll(/^\| `options\.([a-z_.]+)`/gm)].map(([, name]) => name ?? '');
        assert.isNotEmpty(listed);
        for (const name of listed) assert.include(docs, name, `documented in the classes: ${name}`);
        const settings = readFileSync(join(ROOT, 'src/lock/LockSettings.ts'), 'utf8');
        const connector = readFileSync(join(ROOT, 'src/connect/RedisConnector.ts'), 'utf8');
        const parsed = [...`${settings}${connector}`.matchAll(/config, 'options\.([a-z_.]+)'/g)].map(
            ([, name]) => name ?? '',
        );
        for (const name of parsed) assert.include(listed, name, `in the table: ${name}`);
    });

    test('every error code of the source is in the table of errors, and none besides', () => {
        const table = /## Errors\n([^]*?)\n## /.exec(README)?.[1] ?? '';
        const listed = [...table.matchAll(/`([A-Z]+(?:_[A-Z]+)*)`/g)].map(([, code]) => code ?? '');
        assert.sameMembers([...new Set(listed)], Object.keys(LockErrorCode));
    });
});
