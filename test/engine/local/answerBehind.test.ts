import { assert } from 'chai';
import { answerBehind } from '../../../src/engine/local/answerBehind';
import { Place } from '../../../src/engine/local/Place';
import { Turn } from '../../../src/engine/local/Turn';
import { LockError } from '../../../src/engine/port/errors';
import type { Busy } from '../../../src/engine/port/LockStore';
import { idOf } from '../../fixtures/ids';

const NOW = 1000;
const BUSY: Busy = {
    kind: 'busy',
    sentAt: 400,
    remaining: 900,
    fence: 7,
    ticket: 3,
    rank: 2,
    foreign: false,
    holder: 'them',
};

suite('One that waits behind others of its process is told', () => {
    const behind = {
        key: 'key',
        id: idOf('me'),
        isFirst: false,
        others: 1,
        turn: undefined,
        place: undefined,
        now: NOW,
    };

    function placeOf(answer: Busy | LockError): Place {
        const place = new Place(idOf('first'), 0);
        place.answered(answer);
        return place;
    }

    test('what the store said last to the first of them, whom it is behind', () => {
        assert.deepInclude(answerBehind({ ...behind, place: placeOf(BUSY) }), {
            kind: 'busy',
            remaining: 300,
            rank: 3,
            holder: 'them',
        });
    });

    test('that it is the first, where it is', () => {
        assert.deepInclude(answerBehind({ ...behind, isFirst: true, place: placeOf(BUSY) }), { rank: 0 });
    });

    test('how long the process has the key', () => {
        const granted = { kind: 'granted', holder: 'we', fence: 8, deadline: 1500, confirmed: true } as const;
        const turn = new Turn(idOf('first'), granted, 1000, NOW);
        const place = placeOf(new LockError('CONNECTION_FAILED', 'Away.'));
        assert.deepInclude(answerBehind({ ...behind, turn, place }), { remaining: 500, holder: 'we' });
    });

    test('why the store could not be asked', () => {
        const failure = new LockError('CONNECTION_FAILED', 'Away.', { unknown: true });
        const answer = answerBehind({ ...behind, place: placeOf(failure) });
        assert.deepInclude(answer, { code: 'CONNECTION_FAILED', key: 'key', cause: failure, unknown: false });
    });

    test('nothing that it could rely on, before the store has answered', () => {
        assert.deepInclude(answerBehind(behind), { kind: 'busy', remaining: 0, fence: 0, ticket: 0, holder: '' });
    });
});
