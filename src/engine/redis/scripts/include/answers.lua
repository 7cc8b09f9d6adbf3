-- The answer of one item: its own error, as text, does not touch the other items.
local function answer_of(done, answer)
    if done then
        return answer
    end
    return type(answer) == 'table' and answer.err or tostring(answer)
end
