import { assert } from 'chai';
import { Redis } from 'ioredis';
import { planOf } from '../../src/connect/planOf';
import { ToldLogins } from '../../src/connect/threadServers';
import { refusal } from './refusal';

suite('A client of which a thread has one like it', () => {
    const made: Redis[] = [];
    teardown(() => {
        for (const one of made.splice(0)) one.disconnect();
    });

    function client(options: object): Redis {
        const one = new Redis({ ...options, lazyConnect: true });
        made.push(one);
        return one;
    }

    test('is reached by its host, port and database, with its password', async () => {
        const servers = planOf(client({ host: 'one', port: 7, db: 3, username: 'me', password: 'secret' }));
        const { plan } = servers;
        assert.deepInclude(plan, { topology: 'single', database: 3, tls: undefined });
        assert.deepEqual(plan.targets[0].address, { host: 'one', port: 7 });
        assert.deepEqual((await servers.logins()).targets, [{ username: 'me', password: 'secret' }]);
    });

    test('is reached by its socket', () => {
        assert.deepEqual(planOf(client({ path: '/run/redis' })).plan.targets[0].address, { path: '/run/redis' });
    });

    test('is reached by its Sentinels, with the passwords of both', async () => {
        const sentinels = [{ host: 'one', port: 1 }, { host: 'two' }];
        const servers = planOf(client({ sentinels, name: 'main', password: 'a', sentinelPassword: 'b' }));
        const { plan } = servers;
        assert.deepInclude(plan, { topology: 'sentinel', sentinelName: 'main' });
        assert.deepEqual(
            plan.targets.map(({ address }) => address),
            [
                { host: 'one', port: 1 },
                { host: 'two', port: 26_379 },
            ],
        );
        const { others, sentinels: ofSentinels } = await servers.logins();
        assert.strictEqual(others.password, 'a');
        assert.strictEqual(ofSentinels.password, 'b');
    });

    test('tells the password that it has now', async () => {
        const one = client({ password: 'before' });
        const servers = planOf(one);
        one.options.password = 'after';
        assert.strictEqual((await servers.logins()).targets[0]?.password, 'after');
    });

    const unfit: [what: string, options: object][] = [
        ['natMap', { sentinels: [{ host: 'one' }], name: 'main', natMap: {} }],
        ['tls', { tls: { checkServerIdentity: () => undefined } }],
    ];
    for (const [what, options] of unfit) {
        test(`is refused when its ${what} cannot be passed on`, async () => {
            const error = await refusal(() => planOf(client(options)), 'options.keep_alive_thread');
            assert.include(error.message, `its ${what} cannot be passed to a thread`);
        });
    }

    test('has the credentials that were told last, and asks for those of now each time', async () => {
        let asked = 0;
        const { plan } = planOf(client({}));
        const login = (password: string) => ({ username: undefined, password });
        const found = { targets: [login('first')], others: login('others'), sentinels: login('sentinels') };
        const told = new ToldLogins(plan, found, () => void (asked += 1));
        assert.strictEqual((await told.ofServer(plan.targets[0])).password, 'first');
        assert.strictEqual((await told.ofServer(undefined)).password, 'others');
        assert.strictEqual((await told.ofSentinels()).password, 'sentinels');
        told.found = { ...found, targets: [login('second')] };
        assert.strictEqual((await told.ofServer(plan.targets[0])).password, 'second');
        assert.strictEqual(asked, 3);
    });
});
