@echo off
rem What a double click needs: finds Python, runs run.py, and keeps the window open when something went wrong.
setlocal
chcp 65001 >nul
pushd "%~dp0"
set "PYTHON_FOUND="
rem Each is tried, for both may be there without a Python: the launcher, and the link to the Microsoft Store.
python -c "import sys; sys.exit(sys.version_info < (3, 10))" >nul 2>nul && set "PYTHON_FOUND=python"
py -3 -c "import sys; sys.exit(sys.version_info < (3, 10))" >nul 2>nul && set "PYTHON_FOUND=py -3"
if not defined PYTHON_FOUND (
    echo 没有找到 Python 3.10 或更新的版本。请从 https://www.python.org/downloads/ 安装，再双击一次。
    pause
    exit /b 1
)
%PYTHON_FOUND% run.py %*
set "CODE=%ERRORLEVEL%"
if not "%CODE%"=="0" pause
popd
exit /b %CODE%
