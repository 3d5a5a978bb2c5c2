from __future__ import annotations

from pathlib import Path

from argosy.config.environment import Environment


def test_an_empty_variable_counts_as_unset() -> None:
    environment = Environment.read({"ARGOSY_ADMIN_KEY": "", "ARGOSY_API_KEY": " ", "ARGOSY_URL": ""})
    assert environment.admin_key is None
    assert environment.api_keys == ()
    assert environment.url is None


def test_several_client_keys_are_separated_by_commas() -> None:
    environment = Environment.read({"ARGOSY_API_KEY": "one, two,,"})
    assert environment.api_keys == ("one", "two")
    assert environment.client_key() == "one"


def test_the_order_of_sources_is_a_list_of_kinds() -> None:
    assert Environment.read({"ARGOSY_SOURCES": "modelscope, pypi,"}).sources == ("modelscope", "pypi")
    assert Environment.read({}).sources == ()


def test_the_chat_falls_back_on_the_names_other_clients_use() -> None:
    environment = Environment.read({"OPENAI_API_KEY": "theirs", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    assert environment.client_key() == "theirs"
    assert environment.url == "http://127.0.0.1:1/v1"
    assert Environment.read({"ARGOSY_URL": "a", "OPENAI_BASE_URL": "b"}).url == "a"


def test_folders_are_absolute() -> None:
    environment = Environment.read({"ARGOSY_HOME": "state", "ARGOSY_CACHE": "~/cache"})
    assert environment.home == Path.cwd() / "state"
    assert environment.cache.is_absolute()
    assert "~" not in str(environment.cache)


def test_children_which_run_in_another_folder_get_the_same_folders() -> None:
    environment = Environment.read({"ARGOSY_HOME": "state", "ARGOSY_CACHE": "~/cache", "OTHER": "a"})
    assert environment.variables == {
        "ARGOSY_HOME": str(environment.home),
        "ARGOSY_CACHE": str(environment.cache),
        "OTHER": "a",
    }
    assert Environment.read({"ARGOSY_CACHE": ""}).variables == {"ARGOSY_CACHE": ""}


def test_secrets_do_not_appear_when_it_is_printed() -> None:
    variables = {"ARGOSY_API_KEY": "secret-1", "ARGOSY_ADMIN_KEY": "secret-2", "ARGOSY_JOIN_TOKEN": "secret-3"}
    assert "secret" not in repr(Environment.read(variables))
