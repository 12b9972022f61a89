"""The router's paths: incidents, actions, who is on call, the policy, answers to pages."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from services.router.engine import Engine
from services.router.policy_watch import PolicyWatch
from services.router.settings import RouterSettings


def routes(engine: Engine, settings: RouterSettings, watch: PolicyWatch) -> APIRouter:
    """Every path of the router."""
    del engine, settings, watch
    return APIRouter()


def schemas() -> Mapping[str, Any]:
    """The shapes that the paths name."""
    return {}
