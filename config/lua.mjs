/*
 * Makes one TypeScript module of the Lua scripts, so that no file is read at run time: bundlers cannot follow that.
 *
 * A line `--@include name` stands for include/name.lua, once per script; or for include/name_redis.lua and include/name_node.lua, where the locks are on
 * one Redis or on a node of a quorum: a script that has such a line is made twice. Comments are left out, but for the first line, which names the script.
 * The whole texts are written to obj/lua for the linter.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SCRIPTS = 'src/engine/redis/scripts';
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

function expand(file, scope, seen = new Set()) {
    if (seen.has(file)) return '';
    seen.add(file);
    return readFileSync(join(SCRIPTS, file), 'utf8').replace(/^ *--@include (\w+)$/gm, (_, name) => {
        const scoped = `include/${name}_${scope}.lua`;
        return expand(existsSync(join(SCRIPTS, scoped)) ? scoped : `include/${name}.lua`, scope, seen);
    });
}

function lean(lua) {
    return lua
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '' && !line.startsWith('--'))
        .join('\n');
}

mkdirSync('obj/lua', { recursive: true });
const modules = [];
const names = [];
for (const file of readdirSync(SCRIPTS).filter((one) => one.endsWith('.lua'))) {
    const name = file.replace('.lua', '');
    for (const scope of ['redis', 'node']) {
        const lua = expand(file, scope);
        if (scope === 'node' && lua === expand(file, 'redis')) continue;
        const whole = scope === 'node' ? `${name}_node` : name;
        writeFileSync(join('obj/lua', `${whole}.lua`), lua);
        const text = `-- redis-lock ${version}: ${whole}\n${lean(lua)}\n`;
        names.push(whole);
        modules.push(`    ${whole}: ${JSON.stringify(text)},`);
    }
}
const type = `export type ScriptName =\n${names.map((name) => `    | '${name}'`).join('\n')};`;
const value = `export const LUA: Readonly<Record<ScriptName, string>> = {\n${modules.join('\n')}\n};`;
writeFileSync(
    join(SCRIPTS, 'lua.ts'),
    `// Made by config/lua.mjs of the .lua files in this folder.\n${type}\n\n${value}\n`,
);
