import { assert } from 'chai';
import { rejection, type Rejection } from '../fixtures/rejection';

/** The complaint about a wrong option, which names it in its message and in its details. */
export async function refusal(action: () => unknown, option: string): Promise<Rejection> {
    const error = await rejection(Promise.resolve().then(action), 'BAD_OPTION');
    assert.include(error.message, `Option ${option} `);
    assert.strictEqual(error.details?.getAsString('option'), option);
    assert.strictEqual(error.status, 500);
    return error;
}
