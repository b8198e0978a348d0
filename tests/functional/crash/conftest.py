"""A stage on which stories are performed, as often as is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.functional.conductor.conftest import ImageServer
from tests.functional.crash.story import Play, Story
from tests.functional.crash.world import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("stage") / "drophammer.sqlite")
    yield stage
    stage.close()


@pytest.fixture(scope="session")
def image_url() -> Iterator[str]:
    server = ImageServer()
    yield f"{server.url}/image.raw"
    server.close()


@pytest.fixture
def play(stage: Stage, image_url: str) -> Callable[..., Play]:
    """Put a story on the stage: ``play(story, die_at=5, successor="two")``."""

    def put(story: Story, **told: Any) -> Play:
        info = story.node.get("instance_info")
        if info is not None:
            told["instance_info"] = {**info, "image_source": image_url}
        return Play(story, stage, **told)

    return put
