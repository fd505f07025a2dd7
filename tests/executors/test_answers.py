"""What a worker keeps of a block's questions: a block that does not go by the rules gets no room for it."""

from executors.answers import MOST_QUESTIONS, Answers


def test_only_so_many_questions_wait_at_once() -> None:
    answers = Answers()
    assert all(answers.expect(number) for number in range(MOST_QUESTIONS))
    assert not answers.expect(MOST_QUESTIONS)
    answers.give(0, {"value": None})
    answers.take()
    assert answers.expect(MOST_QUESTIONS)
    answers.close()


def test_a_question_that_waits_is_not_asked_again() -> None:
    answers = Answers()
    assert answers.expect(7)
    assert not answers.expect(7)
    answers.close()
