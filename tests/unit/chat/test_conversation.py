from argosy.chat.conversation import Conversation, text_of


def talk(*turns: str) -> Conversation:
    conversation = Conversation("m", system="Be kind.")
    for number, turn in enumerate(turns):
        (conversation.answered if number % 2 else conversation.asked)(turn)
    return conversation


def test_a_request_has_the_system_prompt_first_and_the_settings() -> None:
    conversation = talk("Hi")
    conversation.settings["temperature"] = 0
    assert conversation.request() == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        "temperature": 0,
    }


def test_undo_forgets_a_question_with_its_answer() -> None:
    conversation = talk("one", "1", "two", "2")
    assert conversation.undo() == "two"
    assert conversation.last_answer() == "1"
    assert (conversation.undo(), conversation.undo(), conversation.messages) == ("one", None, [])


def test_a_question_can_be_asked_again() -> None:
    conversation = talk("one", "1")
    assert conversation.unanswer()
    assert [text_of(each) for each in conversation.messages] == ["one"]
    conversation.reset()
    assert not conversation.unanswer()


def test_what_is_loaded_replaces_all_but_the_model() -> None:
    conversation = talk("old")
    messages = [{"role": "developer", "content": "New."}, {"role": "user", "content": [{"type": "image_url"}]}]
    conversation.load(messages, {"seed": 1})
    assert (conversation.model, conversation.system, conversation.settings) == ("m", "New.", {"seed": 1})
    assert [text_of(each) for each in conversation.messages] == ["[image_url]"]
