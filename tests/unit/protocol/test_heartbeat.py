from __future__ import annotations

import hashlib
import hmac

import msgspec

from argosy.protocol.heartbeat import Heartbeat, HeartbeatAnswer, engine_key, sign
from voices import WorkerVoice


def test_a_signature_is_hmac_sha256_of_the_body_by_the_join_token() -> None:
    assert sign(b"body", "token") == hmac.new(b"token", b"body", hashlib.sha256).hexdigest()


def test_another_body_or_another_token_has_another_signature() -> None:
    assert len({sign(b"body", "token"), sign(b"body2", "token"), sign(b"body", "token2")}) == 3


def test_each_incarnation_of_each_replica_has_a_key_of_its_own() -> None:
    keys = {
        engine_key("token", "m.0", 1),
        engine_key("token", "m.0", 2),
        engine_key("token", "m.1", 1),
        engine_key("other", "m.0", 1),
        sign(b"engine m.0 1", "another"),
    }
    assert len(keys) == 5
    assert engine_key("token", "m.0", 1) == engine_key("token", "m.0", 1)
    assert all(key.isalnum() and len(key) == 64 for key in keys)


def test_a_heartbeat_survives_its_way() -> None:
    beat = WorkerVoice("a/m.0", devices=["gpu0"]).beat("from-the-future")
    assert msgspec.json.decode(msgspec.json.encode(beat), type=Heartbeat) == beat


def test_fields_of_a_later_version_are_passed_over() -> None:
    answer = msgspec.json.decode(b'{"in_flight":1,"from_the_future":{}}', type=HeartbeatAnswer)
    assert (answer.in_flight, answer.gateways, answer.commands) == (1, [], [])
