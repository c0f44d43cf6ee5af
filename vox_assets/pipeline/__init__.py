"""Dagster assets, each in one module with its checks. No other package imports Dagster.

An asset reads its inputs, calls one pure function and attaches metadata. Asset modules do not
import `annotations` from `__future__`: Dagster reads their annotations as types.
"""
